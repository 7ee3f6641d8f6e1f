import { html } from "hono/html";

import type { Run } from "../../daemon/records/record-types.ts";
import type { Health, MirrorStatus } from "../../daemon/view/view.ts";
import type { Outcome } from "../../sync/report.ts";
import { banners, causeList, causesOf, failureBox } from "./parts/failures.ts";
import {
  badge,
  cell,
  digestHtml,
  fact,
  head,
  hrefOf,
  type Html,
  pager,
  type Paging,
  partOf,
} from "./parts/parts.ts";
import { clockOf, moment, type PageClock, shortMoment } from "./parts/times.ts";
import { bytesOf, countOf, displayText, numberText, spanOf } from "./parts/words.ts";
import { runProgress } from "./run-progress.ts";

const CAUSES: Readonly<Record<Run["cause"], string>> = {
  schedule: "schedule",
  first: "first check",
  missed: "missed due time",
  asked: "asked for",
  webhook: "webhook",
  retry: "again",
  stream: "stream was changed",
};

export function hrefOfRun({ mirror, id }: Pick<Run, "mirror" | "id">): string {
  return `${hrefOf(mirror)}/runs/${encodeURIComponent(id)}`;
}

/** The run under way: how far it is, at which rate, and how long the rest takes. */
export function runUnderWay(run: Run, mirror: MirrorStatus): Html {
  const { done, expected, bytes, bytesPerSecond, remainingMs } = runProgress(
    run,
    mirror.underWay,
    new Date(),
  );
  if (expected === undefined)
    return html`<div class="run-progress">
      <p><a href="${hrefOfRun(run)}">Run</a>: reading source and target</p>
      <progress aria-label="Run"></progress>
    </div>`;
  return html`<div class="run-progress">
    <p>
      <a href="${hrefOfRun(run)}">Run</a>: <b>${numberText(done)} of ${numberText(expected)}</b> tags
      ${bytes > 0 ? html`· ${bytesOf(bytes)} · ${bytesOf(bytesPerSecond)}/s` : ""}
      ${remainingMs === undefined ? "" : html`· about ${spanOf(remainingMs)} left`}
    </p>
    <progress aria-label="Run" max="${Math.max(1, expected)}" value="${done}"></progress>
  </div>`;
}

/** The copies under way, each with its bytes. */
export function copiesUnderWay({ underWay }: MirrorStatus): Html {
  if (underWay.length === 0) return html``;
  return html`<ul class="under-way" aria-label="Under way">
    ${underWay.map(({ tag, bytes, totalBytes, bytesPerSecond }) => {
      const part = totalBytes ? Math.min(100, Math.floor((bytes / totalBytes) * 100)) : undefined;
      return html`<li>
        <code class="tag">${displayText(tag)}</code>
        <progress
          aria-label="${displayText(tag)}"
          max="100"
          ${part === undefined ? "" : html`value="${part}"`}
        ></progress>
        <span class="amount"
          >${part === undefined ? "" : `${part} % · `}${bytesOf(bytes)}${totalBytes ? ` of ${bytesOf(totalBytes)}` : ""}
          · ${bytesOf(bytesPerSecond)}/s</span
        >
      </li>`;
    })}
  </ul>`;
}

/** The last runs of a mirror, the newest first. */
export function runTable(runs: readonly Run[], clock: PageClock): Html {
  if (runs.length === 0) return html`<p class="quiet">None yet.</p>`;
  return html`<table class="runs">
    <caption class="unseen">
      Last runs
    </caption>
    ${head("Run", "State", "Cause", "Took", "Bytes", "Tags")}
    <tbody>
      ${runs.map((run) => runRow(run, clock))}
    </tbody>
  </table>`;
}

function runRow(run: Run, clock: PageClock): Html {
  try {
    const { failure } = run;
    return html`<tr>
      <th scope="row" data-label="Run">
        <a href="${hrefOfRun(run)}">${shortMoment(run.startedAt, clock)}</a>
      </th>
      ${cell("State", badge(run.state))} ${cell("Cause", CAUSES[run.cause])} ${cell("Took", tookOf(run))}
      ${cell("Bytes", bytesOf(bytesIn(run)))}
      ${cell("Tags", failure ? html`<span class="line bad-line" title="${displayText(failure.message)}">${failure.code}: ${displayText(failure.message, { maxLength: 300 })}</span>` : summaryOf(run))}
    </tr>`;
  } catch {
    return html`<tr>
      <td colspan="6" class="bad">This run cannot be shown: what is stored of it is not readable.</td>
    </tr>`;
  }
}

function tookOf({ startedAt, finishedAt }: Run): string {
  if (finishedAt === undefined) return `${spanOf(Date.now() - Date.parse(startedAt))} so far`;
  return spanOf(Date.parse(finishedAt) - Date.parse(startedAt));
}

function bytesIn({ outcomes }: Run): number {
  return outcomes.reduce((sum, one) => sum + ("moved" in one ? one.moved.bytes : 0), 0);
}

const ORDER = [
  "failed",
  "refused",
  "copied",
  "imported",
  "pushed",
  "pruned",
  "missing",
  "unchanged",
] as const;

/** `2 copied, 40 unchanged` */
function summaryOf({ outcomes, state, expected, failure }: Run): string {
  const counts = ORDER.flatMap((kind) => {
    const count = outcomes.filter((outcome) => outcome.kind === kind).length;
    return count > 0 ? [`${numberText(count)} ${kind}`] : [];
  });
  const words = counts.join(", ") || (failure ? "not checked" : "nothing to do");
  if (state !== "running") return words;
  return `${numberText(outcomes.length)} of ${expected === undefined ? "?" : numberText(expected)} done`;
}

export type RunPage = {
  readonly health: Health;
  readonly mirror: MirrorStatus;
  readonly run: Run;
  /** The outcomes on this page. */
  readonly outcomes: readonly Outcome[];
  readonly paging: Paging;
};

/** What became of each tag in one run. */
export function runPage({ health, mirror, run, outcomes, paging }: RunPage): Html {
  const clock = clockOf(mirror);
  const failed = run.outcomes.flatMap((one) =>
    "failure" in one ? { tag: one.tag, failure: one.failure } : [],
  );
  return html`${banners(health)}
    <p class="back"><a href="${hrefOf(mirror.name)}">${displayText(mirror.name)}</a></p>
    <div class="mirror-head">
      <h1>Run</h1>
      ${badge(run.state)}
    </div>
    ${run.state === "running" ? partOf("Its progress", () => runUnderWay(run, mirror)) : ""}
    ${partOf("Its facts", () => runFacts(run, clock))} ${run.failure ? failureBox(run.failure) : ""}
    ${run.warnings.map((warning) => failureBox(warning, { tone: "warn" }))}
    ${causeList(mirror.name, causesOf(failed))}
    <section aria-labelledby="outcomes">
      <h2 id="outcomes">${countOf(run.outcomes.length, "tag")}</h2>
      ${outcomes.length === 0 ? html`<p class="quiet">None.</p>` : outcomeTable(outcomes)} ${pager(paging)}
    </section>`;
}

function runFacts(run: Run, clock: PageClock): Html {
  return html`<dl class="facts">
    ${fact("Cause", CAUSES[run.cause])} ${fact("Due", moment(run.dueAt, clock))}
    ${fact("Started", moment(run.startedAt, clock))} ${fact("Took", tookOf(run))}
    ${fact("Bytes", bytesOf(bytesIn(run)))} ${fact("Tags", summaryOf(run))}
  </dl>`;
}

function outcomeTable(outcomes: readonly Outcome[]): Html {
  return html`<table class="tags">
    <caption class="unseen">
      Outcomes
    </caption>
    ${head("Tag", "Outcome", "Digest", "Before", "Bytes", "Referrers")}
    <tbody>
      ${outcomes.map(outcomeRow)}
    </tbody>
  </table>`;
}

function outcomeRow(outcome: Outcome): Html {
  const { tag, kind } = outcome;
  try {
    const moved = "moved" in outcome ? outcome.moved : undefined;
    return html`<tr>
      <th scope="row" data-label="Tag"><code class="tag">${displayText(tag)}</code></th>
      ${cell("Outcome", outcomeWords(outcome))}
      ${cell("Digest", "digest" in outcome && outcome.digest !== undefined ? digestHtml(outcome.digest) : "")}
      ${cell("Before", "replaced" in outcome && outcome.replaced !== undefined ? digestHtml(outcome.replaced) : "")}
      ${cell("Bytes", moved ? bytesOf(moved.bytes) : "")}
      ${cell("Referrers", moved && moved.referrers > 0 ? numberText(moved.referrers) : "")}
    </tr>`;
  } catch {
    return html`<tr>
      <td colspan="6" class="bad">${displayText(`${tag}: ${kind}`)} cannot be shown.</td>
    </tr>`;
  }
}

function outcomeWords(outcome: Outcome): Html {
  const { kind } = outcome;
  const healed = kind === "copied" && outcome.healed ? " again: content was lost" : "";
  return html`<span class="outcome is-${kind}">${kind}</span>${healed}
    ${"failure" in outcome ? html`<span class="line quiet" title="${displayText(outcome.failure.message)}">${outcome.failure.code}: ${displayText(outcome.failure.message, { maxLength: 300 })}</span>` : ""}`;
}
