import { html } from "hono/html";

import type { TagRecord } from "../../daemon/records/record-types.ts";
import type { WatchState } from "../../daemon/triggers/stream-watch.ts";
import type { RateLimitStatus, Health, MirrorState, MirrorStatus } from "../../daemon/view/view.ts";
import type { Failure } from "../../errors/error.ts";
import { MIRROR_STATES } from "../metrics.ts";
import {
  actions,
  badge,
  banners,
  cell,
  type PageClock,
  clockOf,
  fact,
  failureBox,
  hrefOf,
  type Html,
  moment,
  pager,
  type Paging,
  partOf,
  progressList,
  quarantineBox,
  reasonOf,
  route,
  shortMoment,
} from "./parts.ts";
import { countOf, displayText, numberText, relativeOf, spanOf } from "./words.ts";

export type FailedTags = readonly TagRecord[] | "unreadable";

export type Overview = {
  readonly health: Health;
  readonly mayAct: boolean;
  /** All mirrors; undefined while Redis is unavailable. */
  readonly mirrors: readonly MirrorStatus[] | undefined;
  /** Why the mirrors could not be read. */
  readonly failure?: Failure;
  /** The mirrors on this page. */
  readonly shownMirrors: readonly MirrorStatus[];
  readonly state: MirrorState | undefined;
  /** The failed tags of the first mirrors on this page that have any. */
  readonly failed: ReadonlyMap<string, FailedTags>;
  readonly paging: Paging;
};

export function overviewPage(overview: Overview): Html {
  const { health, mayAct, mirrors, failure, shownMirrors, failed, state, paging } = overview;
  return html`${banners(health)}
    ${mirrors ? headline(mirrors, state) : html`<h1>The mirrors cannot be shown now</h1>`}
    ${failure ? failureBox(failure) : ""}
    <ul class="mirrors" aria-label="Mirrors">
      ${shownMirrors.map((mirror) => mirrorItem(mirror, { failed: failed.get(mirror.name), mayAct }))}
    </ul>
    ${pager(paging)} ${partOf("The daemon", () => daemonFacts(health))}`;
}

const TROUBLE: readonly MirrorState[] = ["failing", "quarantined", "late"];

function headline(mirrors: readonly MirrorStatus[], chosen: MirrorState | undefined): Html {
  const troubled = mirrors.filter(({ state }) => TROUBLE.includes(state)).length;
  const counted = MIRROR_STATES.map((state) => ({
    state,
    count: mirrors.filter((mirror) => mirror.state === state).length,
  })).filter(({ count }) => count > 0);
  const words =
    mirrors.length === 0
      ? "No mirrors yet"
      : troubled > 0
        ? `${troubled} of ${countOf(mirrors.length, "mirror")} ${troubled === 1 ? "needs" : "need"} attention`
        : `No problems with ${countOf(mirrors.length, "mirror")}`;
  return html`<div class="headline">
    <h1>${words}</h1>
    ${
      mirrors.length === 0
        ? html`<p>
            Write them under <code>mirrors:</code> in the configuration file. It is read again when it
            changes.
          </p>`
        : html`<nav class="filters" aria-label="Filter by state">
            <a href="/" ${chosen === undefined ? html`aria-current="page"` : ""}
              >all <b>${mirrors.length}</b></a
            >
            ${counted.map(
              ({ state, count }) =>
                html`<a
                  class="is-${state}"
                  href="/?state=${state}"
                  ${chosen === state ? html`aria-current="page"` : ""}
                  >${state} <b>${count}</b></a
                >`,
            )}
          </nav>`
    }
  </div>`;
}

const FAILURES_SHOWN = 3;

type CardFacts = { readonly failed: FailedTags | undefined; readonly mayAct: boolean };

function mirrorItem(mirror: MirrorStatus, facts: CardFacts): Html {
  const { name, state } = mirror;
  return html`<li class="mirror is-${state}" id="m-${encodeURIComponent(name)}">
    ${partOf(name, () => mirrorCard(mirror, facts))}
  </li>`;
}

function mirrorCard(mirror: MirrorStatus, { failed, mayAct }: CardFacts): Html {
  const clock = clockOf(mirror);
  const { name, state } = mirror;
  return html`<div class="mirror-head">
      <h2><a href="${hrefOf(name)}">${displayText(name)}</a></h2>
      ${badge(state)}
    </div>
    ${route(mirror)}
    <dl class="facts">
      ${fact("Tags", tagsOf(mirror))} ${fact("Last run", moment(mirror.lastRunAt, clock))}
      ${fact("Next run", nextRun(mirror))}
      ${mirror.latenessS > 0 ? fact("Late by", spanOf(mirror.latenessS * 1000)) : ""}
      ${mirror.failingSince === undefined ? "" : fact("Failing since", moment(mirror.failingSince, clock))}
    </dl>
    ${progressList(mirror)} ${quarantineBox(mirror, clock)} ${reasonOf(mirror)}
    ${failedTagList(mirror, failed)} ${actions(mirror, { back: "/", mayAct })}`;
}

/** The first failed tags, or a note that they could not be read. */
function failedTagList({ name, failedTags }: MirrorStatus, failed: FailedTags | undefined): Html {
  if (failed === "unreadable") return html`<p class="bad">Its failed tags cannot be read now.</p>`;
  if (!failed || failed.length === 0) return html``;
  const more = failedTags - Math.min(failed.length, FAILURES_SHOWN);
  return html`${failed
    .slice(0, FAILURES_SHOWN)
    .map(({ tag, failure }) => (failure ? failureBox(failure, { tag }) : ""))}
  ${
    more > 0
      ? html`<p class="more">
          <a href="${hrefOf(name)}">${countOf(more, "more failed tag")} of ${displayText(name)}</a>
        </p>`
      : ""
  }`;
}

function tagsOf({ tags, failedTags }: MirrorStatus): Html {
  return html`${numberText(tags)}${
    failedTags > 0 ? html` <span class="bad">${numberText(failedTags)} failed</span>` : ""
  }`;
}

export function nextRun(mirror: MirrorStatus): Html {
  const clock = clockOf(mirror);
  if (mirror.pausedAt !== undefined)
    return html`<span class="quiet"
      >paused
      ${relativeOf(mirror.pausedAt, clock.now)}${mirror.pausedBy === undefined ? "" : ` by ${displayText(mirror.pausedBy)}`}</span
    >`;
  if (mirror.nextRunAt !== undefined) return moment(mirror.nextRunAt, clock);
  return html`<span class="quiet">when asked</span>`;
}

/** Facts about the daemon: queue, workers, Redis, configuration, rate limits. */
function daemonFacts({ jobs, workers, redis, config, streamWatches, rateLimits, startedAt }: Health): Html {
  const clock = clockOf(undefined);
  return html`<section class="engine" aria-labelledby="engine">
    <h2 id="engine">Daemon</h2>
    <dl class="facts">
      ${fact("Queue", jobs ? `${jobs.active} active, ${jobs.waiting} waiting, ${jobs.delayed} delayed` : "unknown at the moment")}
      ${fact("Workers here", String(workers))}
      ${streamWatches.length === 0 ? "" : fact("Image streams", watched(streamWatches))}
      ${fact("Redis", redis ? (redis.kind === "up" ? "up" : html`<span class="bad">${redis.kind}</span>`) : "none: one process")}
      ${fact(
        "Configuration",
        html`<code title="${displayText(config.file)}">${displayText(config.fingerprint.slice(0, 12))}</code>
          ${config.failure ? html`<span class="bad">broken on disk</span>` : ""}
          ${moment(config.loadedAt, clock)}`,
      )}
      ${fact("Running since", moment(startedAt, clock))}
    </dl>
    ${rateLimits.length === 0 ? "" : rateLimitTable(rateLimits)}
  </section>`;
}

/** Whether changes to image streams by others are noticed immediately, and where not. */
function watched(watches: readonly WatchState[]): Html {
  const unwatched = watches.filter(({ kind }) => kind !== "watching");
  if (unwatched.length === 0) return html`watched in ${countOf(watches.length, "namespace")}`;
  return html`<span class="bad"
      >not watched in ${unwatched.length} of ${countOf(watches.length, "namespace")}</span
    >
    ${unwatched.map(
      ({ namespace, kind, reason = "" }) =>
        html`<div class="quiet" title="${displayText(reason)}">
          ${displayText(namespace)}: ${WATCH_WORDS[kind]}
        </div>`,
    )}`;
}

const WATCH_WORDS: Readonly<Record<WatchState["kind"], string>> = {
  beginning: "starting",
  watching: "watched",
  away: "the API server does not answer",
  denied: "no right to list and watch",
};

function rateLimitTable(rateLimits: readonly RateLimitStatus[]): Html {
  const clock = clockOf(undefined);
  return html`<table>
    <caption>
      Registries and their rate limits
    </caption>
    <thead>
      <tr>
        <th scope="col">Registry</th>
        <th scope="col">Connections</th>
        <th scope="col">Requests</th>
        <th scope="col">Pulls left</th>
        <th scope="col">State</th>
      </tr>
    </thead>
    <tbody>
      ${rateLimits.map(
        ({ registry, connections, inUse, requestsPerSecond, pullsLeft, ...pauses }) =>
          html`<tr>
            <th scope="row" data-label="Registry"><code>${displayText(registry)}</code></th>
            ${cell(
              "Connections",
              html`<meter
                  aria-label="Connections to ${displayText(registry)}"
                  min="0"
                  max="${connections}"
                  value="${inUse}"
                ></meter>
                ${inUse} of ${connections}`,
            )}
            ${cell("Requests", requestsPerSecond === undefined ? "no limit" : `${requestsPerSecond}/s`)}
            ${cell("Pulls left", pullsLeft === undefined ? html`<span class="quiet">unknown</span>` : String(pullsLeft))}
            ${cell("State", registryState(pauses, clock))}
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** Whether requests to the registry are paused, because it asked for that or because it does not answer. */
function registryState(
  pauses: Pick<RateLimitStatus, "pausedSince" | "pausedUntil" | "unresponsiveSince" | "unresponsiveUntil">,
  clock: PageClock,
): Html {
  const { pausedSince, pausedUntil, unresponsiveSince, unresponsiveUntil } = pauses;
  const since = (iso: string | undefined): Html =>
    iso === undefined ? html`` : html`since ${shortMoment(iso, clock)},`;
  if (unresponsiveUntil !== undefined)
    return html`<span class="bad">does not answer</span>
      <span class="quiet"
        >${since(unresponsiveSince)} next try ${shortMoment(unresponsiveUntil, clock)}</span
      >`;
  if (pausedUntil !== undefined)
    return html`<span class="bad">paused</span>
      <span class="quiet">${since(pausedSince)} next request ${shortMoment(pausedUntil, clock)}</span>`;
  return html`<span class="quiet">ready</span>`;
}
