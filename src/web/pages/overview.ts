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
  clockOf,
  fact,
  failureBox,
  hrefOf,
  type Html,
  moment,
  pager,
  type Paging,
  progressList,
  quarantineBox,
  route,
} from "./parts.ts";
import { countOf, displayText, relativeOf, spanOf } from "./words.ts";

export type Overview = {
  readonly health: Health;
  readonly mayAct: boolean;
  /** All of them; undefined while Redis, which knows, is away. */
  readonly mirrors: readonly MirrorStatus[] | undefined;
  /** Why they are not known. */
  readonly failure?: Failure;
  /** Those on this page. */
  readonly shownMirrors: readonly MirrorStatus[];
  readonly state: MirrorState | undefined;
  /** The first failed tags of mirrors on this page. */
  readonly failed: ReadonlyMap<string, readonly TagRecord[]>;
  readonly paging: Paging;
};

export function overviewPage(overview: Overview): Html {
  const { health, mayAct, mirrors, failure, shownMirrors, failed, state, paging } = overview;
  return html`${banners(health)}
    ${mirrors ? headline(mirrors, state) : html`<h1>The mirrors cannot be shown now</h1>`}
    ${failure ? failureBox(failure) : ""}
    <ul class="mirrors" aria-label="Mirrors">
      ${shownMirrors.map((mirror) => mirrorCard(mirror, { failed: failed.get(mirror.name) ?? [], mayAct }))}
    </ul>
    ${pager(paging)} ${engineRoom(health)}`;
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
        ? `${troubled} of ${countOf(mirrors.length, "mirror")} ${troubled === 1 ? "needs" : "need"} you`
        : `All is well with ${countOf(mirrors.length, "mirror")}`;
  return html`<div class="headline">
    <h1>${words}</h1>
    ${
      mirrors.length === 0
        ? html`<p>
            List them under <code>mirrors:</code> in the configuration file; it is read again when it changes.
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

type CardFacts = { readonly failed: readonly TagRecord[]; readonly mayAct: boolean };

function mirrorCard(mirror: MirrorStatus, { failed, mayAct }: CardFacts): Html {
  const clock = clockOf(mirror);
  const { name, state, failure, failedTags } = mirror;
  const more = failedTags - Math.min(failed.length, FAILURES_SHOWN);
  return html`<li class="mirror is-${state}" id="m-${encodeURIComponent(name)}">
    <div class="mirror-head">
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
    ${progressList(mirror)} ${quarantineBox(mirror, clock)} ${failure ? failureBox(failure) : ""}
    ${failed.slice(0, FAILURES_SHOWN).map(({ tag, failure: why }) => (why ? failureBox(why, { tag }) : ""))}
    ${
      failed.length > 0 && more > 0
        ? html`<p class="more">
            <a href="${hrefOf(name)}">${countOf(more, "more failed tag")} of ${displayText(name)}</a>
          </p>`
        : ""
    }
    ${actions(mirror, { back: "/", mayAct })}
  </li>`;
}

function tagsOf({ tags, failedTags }: MirrorStatus): Html {
  return html`${tags.toLocaleString("en-GB")}${
    failedTags > 0 ? html` <span class="bad">${failedTags.toLocaleString("en-GB")} failed</span>` : ""
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

/** What the mirrors run on. */
function engineRoom({ jobs, workers, redis, config, streamWatches, rateLimits, startedAt }: Health): Html {
  const clock = clockOf(undefined);
  return html`<section class="engine" aria-labelledby="engine">
    <h2 id="engine">Engine room</h2>
    <dl class="facts">
      ${fact("Queue", jobs ? `${jobs.active} active, ${jobs.waiting} waiting, ${jobs.delayed} delayed` : "not known now")}
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

/** Whether it is seen at once what others do to image streams, and where not. */
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
  beginning: "not yet",
  watching: "watched",
  away: "the API server is away",
  denied: "we may not list and watch there",
};

function rateLimitTable(rateLimits: readonly RateLimitStatus[]): Html {
  const clock = clockOf(undefined);
  return html`<table>
    <caption>
      What registries allow us
    </caption>
    <thead>
      <tr>
        <th scope="col">Registry</th>
        <th scope="col">Connections</th>
        <th scope="col">Requests</th>
        <th scope="col">Pulls left</th>
        <th scope="col">Rests until</th>
      </tr>
    </thead>
    <tbody>
      ${rateLimits.map(
        ({ registry, connections, inUse, requestsPerSecond, pullsLeft, pausedUntil }) =>
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
            ${cell("Pulls left", pullsLeft === undefined ? html`<span class="quiet">not told</span>` : String(pullsLeft))}
            ${cell("Rests until", pausedUntil === undefined ? html`<span class="quiet">–</span>` : moment(pausedUntil, clock))}
          </tr>`,
      )}
    </tbody>
  </table>`;
}
