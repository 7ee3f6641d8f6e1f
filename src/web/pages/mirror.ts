import { html } from "hono/html";

import type { Run, TagRecord } from "../../daemon/records/record-types.ts";
import type { Health, MirrorDetail, MirrorStatus } from "../../daemon/view/view.ts";
import { nextRun } from "./overview.ts";
import {
  actions,
  badge,
  banners,
  cell,
  type PageClock,
  clockOf,
  digestHtml,
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
} from "./parts.ts";
import { countOf, displayText, relativeOf, spanOf } from "./words.ts";

export type MirrorPage = {
  readonly health: Health;
  readonly detail: MirrorDetail;
  readonly mayAct: boolean;
  /** The tags on this page. */
  readonly tags: readonly TagRecord[];
  readonly paging: Paging;
};

export function mirrorPage({ health, detail, mayAct, tags, paging }: MirrorPage): Html {
  const { mirror, runs } = detail;
  const clock = clockOf(mirror);
  return html`${banners(health)}
    <p class="back"><a href="/">All mirrors</a></p>
    <div class="mirror-head">
      <h1>${displayText(mirror.name)}</h1>
      ${badge(mirror.state)}
      ${partOf("Its actions", () => actions(mirror, { back: hrefOf(mirror.name), mayAct }))}
    </div>
    ${partOf("Its state", () => mirrorState(mirror))}
    <section aria-labelledby="tags">
      <h2 id="tags">${countOf(detail.tags.length, "tag")}</h2>
      ${tags.length === 0 ? html`<p class="quiet">None yet.</p>` : tagTable(tags, mirror, clock)}
      ${pager(paging)}
    </section>
    <section aria-labelledby="runs">
      <h2 id="runs">Runs</h2>
      ${
        runs.length === 0
          ? html`<p class="quiet">None yet.</p>`
          : html`<ol class="runs">
              ${runs.map((run) => html`<li>${partOf("This run", () => runLine(run, clock))}</li>`)}
            </ol>`
      }
    </section>`;
}

function mirrorState(mirror: MirrorStatus): Html {
  return html`${route(mirror)} ${mirrorFacts(mirror)} ${progressList(mirror)} ${reasonOf(mirror)}
  ${quarantineBox(mirror, clockOf(mirror))}`;
}

/** Failed tags first, because they matter most. */
export function sortedTags(tags: readonly TagRecord[]): readonly TagRecord[] {
  return tags.toSorted(
    (one, other) => Number(other.failure !== undefined) - Number(one.failure !== undefined),
  );
}

function mirrorFacts(mirror: MirrorStatus): Html {
  const clock = clockOf(mirror);
  const { schedule, storage, failingSince, latenessS } = mirror;
  return html`<dl class="facts">
    ${fact(
      "Schedule",
      schedule
        ? html`<code>${displayText(schedule.cron)}</code>
            <span class="quiet">${displayText(schedule.timeZone)}</span>`
        : "none: on request",
    )}
    ${fact("Next run", nextRun(mirror))} ${fact("Last run", moment(mirror.lastRunAt, clock))}
    ${fact("Last good run", moment(mirror.lastSuccessAt, clock))}
    ${failingSince === undefined ? "" : fact("Failing since", moment(failingSince, clock))}
    ${latenessS > 0 ? fact("Late by", spanOf(latenessS * 1000)) : ""}
    ${storage === undefined ? "" : fact("Storage", html`<code>${displayText(storage)}</code>`)}
  </dl>`;
}

function tagTable(tags: readonly TagRecord[], mirror: MirrorStatus, clock: PageClock): Html {
  return html`<table class="tags">
    <caption class="unseen">
      Tags of ${displayText(mirror.name)}
    </caption>
    <thead>
      <tr>
        <th scope="col">Tag</th>
        <th scope="col">Digest</th>
        <th scope="col">Published</th>
        <th scope="col">Last check</th>
        <th scope="col">History</th>
      </tr>
    </thead>
    <tbody>
      ${tags.map((tag) => tagRowOrNote(tag, mirror, clock))}
    </tbody>
  </table>`;
}

/** One row, or a note in a row: a table cannot contain a paragraph. */
function tagRowOrNote(record: TagRecord, mirror: MirrorStatus, clock: PageClock): Html {
  try {
    return tagRow(record, mirror, clock);
  } catch {
    return html`<tr class="why">
      <td colspan="5">
        <p class="bad">${displayText(record.tag)} cannot be shown: what is stored of it is not readable.</p>
      </td>
    </tr>`;
  }
}

function tagRow(record: TagRecord, mirror: MirrorStatus, clock: PageClock): Html {
  const { tag, digest, publishedAt, checkedAt, last, failure, history } = record;
  return html`<tr id="t-${displayText(tag)}">
      <th scope="row" data-label="Tag">
        <code class="tag">${displayText(tag)}</code>
        <span class="source">${displayText(`${mirror.source}:${tag}`)}</span>
      </th>
      ${cell("Digest", digest === undefined ? html`<span class="quiet">not published</span>` : digestHtml(digest))}
      ${cell("Published", moment(publishedAt, clock))}
      ${cell(
        "Last check",
        html`<span class="outcome is-${last}">${last}</span>
          <span class="quiet">${relativeOf(checkedAt, clock.now)}</span>`,
      )}
      ${cell("History", historyOf(history, { clock, key: tag }))}
    </tr>
    ${
      failure
        ? html`<tr class="why">
            <td colspan="5">${failureBox(failure)}</td>
          </tr>`
        : ""
    }`;
}

function historyOf(
  history: TagRecord["history"],
  { clock, key }: { readonly clock: PageClock; readonly key: string },
): Html {
  if (history.length === 0) return html`<span class="quiet">none</span>`;
  return html`<details id="h-${displayText(key)}">
    <summary>${countOf(history.length, "digest")}</summary>
    <ol class="history">
      ${history.map(({ digest, at }) => html`<li>${digestHtml(digest)} ${moment(at, clock)}</li>`)}
    </ol>
  </details>`;
}

const OUTCOME_ORDER = [
  "copied",
  "imported",
  "pushed",
  "pruned",
  "missing",
  "refused",
  "failed",
  "unchanged",
] as const;

function runLine(run: Run, clock: PageClock): Html {
  const { cause, startedAt, finishedAt, state, outcomes, warnings, failure, expected } = run;
  const counts = OUTCOME_ORDER.flatMap((kind) => {
    const count = outcomes.filter((outcome) => outcome.kind === kind).length;
    return count > 0 ? [`${count} ${kind}`] : [];
  });
  const summary =
    state === "running"
      ? `${outcomes.length} of ${expected ?? "?"} done`
      : counts.join(", ") || (failure ? "not checked" : "nothing to do");
  return html`${badge(state)}
    <span>${cause}</span>
    ${moment(startedAt, clock)}
    <span
      >${finishedAt === undefined ? "" : `took ${spanOf(Date.parse(finishedAt) - Date.parse(startedAt))}: `}${summary}</span
    >
    ${failure ? failureBox(failure) : ""} ${warnings.map((warning) => failureBox(warning, { tone: "warn" }))}`;
}
