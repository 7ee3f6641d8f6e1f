import { html } from "hono/html";

import type { HourOfWork } from "../../daemon/records/record-types.ts";
import type { WatchState } from "../../daemon/triggers/stream-watch.ts";
import type { Health, RateLimitStatus } from "../../daemon/view/view.ts";
import { dayFacts } from "./day.ts";
import { cell, fact, head, type Html } from "./parts/parts.ts";
import { clockOf, moment, type PageClock, shortMoment } from "./parts/times.ts";
import { countOf, displayText } from "./parts/words.ts";

/** Facts about the daemon: queue, workers, Redis, configuration, rate limits. */
export function daemonFacts(
  { jobs, workers, redis, config, streamWatches, rateLimits, startedAt }: Health,
  day: readonly HourOfWork[] | undefined,
): Html {
  const clock = clockOf();
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
      ${fact("Running since", moment(startedAt, clock))} ${day ? dayFacts(day) : ""}
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
  const clock = clockOf();
  return html`<table>
    <caption>
      Registries and their rate limits
    </caption>
    ${head("Registry", "Connections", "Requests", "Pulls left", "State")}
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
