import { html } from "hono/html";

import type { MirrorStatus } from "../../daemon/view/view.ts";
import {
  type MirrorGroup,
  hrefWith,
  labelsOf,
  needsAttention,
  type OverviewQuery,
  type SortKey,
} from "./overview-query.ts";
import { retryWords } from "./parts/failures.ts";
import { badge, hrefOf, type Html } from "./parts/parts.ts";
import { runStrip } from "./parts/spark.ts";
import { age, clockOf, shortMoment } from "./parts/times.ts";
import { bytesOf, countOf, displayText, numberText, relativeOf, spanOf } from "./parts/words.ts";

export type MirrorTable = {
  readonly groups: readonly MirrorGroup[];
  readonly query: OverviewQuery;
  readonly mayAct: boolean;
};

/** The class gives a column its width, and says what goes first where there is little room. */
type Column = { readonly name: string; readonly class: string; readonly sort?: SortKey };

const COLUMNS: readonly Column[] = [
  { name: "Mirror", class: "c-name", sort: "name" },
  { name: "Source → target", class: "c-way" },
  { name: "State", class: "c-state", sort: "trouble" },
  { name: "Fresh", class: "c-fresh", sort: "fresh" },
  { name: "Tags", class: "c-tags", sort: "tags" },
  { name: "Last runs", class: "c-runs" },
  { name: "Last run", class: "c-last", sort: "last" },
  { name: "Next run", class: "c-next", sort: "next" },
  { name: "What is wrong", class: "c-wrong" },
];

/** All mirrors of a page as a dense table. It is part of a form: the checkboxes choose mirrors for the buttons of that form. */
export function mirrorTable({ groups, query, mayAct }: MirrorTable): Html {
  const columns = COLUMNS.length + (mayAct ? 2 : 0);
  return html`<table class="mirrors">
    <caption class="unseen">
      Mirrors
    </caption>
    <thead>
      <tr>
        ${mayAct ? html`<th scope="col" class="c-pick"><input type="checkbox" data-all hidden aria-label="Select all" /></th>` : ""}
        ${COLUMNS.map((column) => columnHead(column, query))}
        ${mayAct ? html`<th scope="col" class="c-do"><span class="unseen">Act</span></th>` : ""}
      </tr>
    </thead>
    ${groups.map(
      ({ name, mirrors }) =>
        html`<tbody>
          ${query.group === undefined ? "" : groupRow(name, mirrors, columns)}
          ${mirrors.map((mirror) => mirrorRow(mirror, { columns, mayAct }))}
        </tbody>`,
    )}
  </table>`;
}

function columnHead({ name, sort, class: kind }: Column, query: OverviewQuery): Html {
  if (sort === undefined) return html`<th scope="col" class="${kind}">${name}</th>`;
  const chosen = query.sort === sort;
  return html`<th scope="col" class="${kind}" ${chosen ? html`aria-sort="ascending"` : ""}>
    <a href="${hrefWith(query, { sort })}" title="Sort by ${name.toLowerCase()}">${name}</a>
  </th>`;
}

function groupRow(name: string, mirrors: readonly MirrorStatus[], columns: number): Html {
  const troubled = mirrors.filter(needsAttention).length;
  return html`<tr class="group">
    <th scope="rowgroup" colspan="${columns}">
      ${name === "" ? "no namespace" : displayText(name)}
      <span class="quiet"
        >${countOf(mirrors.length, "mirror")}${troubled > 0 ? `, ${troubled} in trouble` : ""}</span
      >
    </th>
  </tr>`;
}

type RowFacts = { readonly columns: number; readonly mayAct: boolean };

/** One row, or a note in a row: one invalid record must not break the whole table. */
function mirrorRow(mirror: MirrorStatus, facts: RowFacts): Html {
  const id = `m-${encodeURIComponent(mirror.name)}`;
  try {
    return html`<tr id="${id}" class="is-${mirror.state}">
      ${cells(mirror, facts)}
    </tr>`;
  } catch {
    return html`<tr id="${id}">
      <td colspan="${facts.columns}" class="bad">
        ${displayText(mirror.name)} cannot be shown: what is stored of it is not readable.
      </td>
    </tr>`;
  }
}

function cells(mirror: MirrorStatus, { mayAct }: RowFacts): Html {
  const { name, source, target, state, states, tags, failedTags, recent } = mirror;
  const clock = clockOf(mirror);
  const shown = displayText(name);
  return html`${mayAct ? html`<td class="c-pick"><input type="checkbox" name="mirror" value="${name}" aria-label="Select ${shown}" /></td>` : ""}
    <th scope="row">
      <a href="${hrefOf(name)}" title="${[shown, ...labelsOf(mirror)].join("\n")}">${shown}</a>
    </th>
    <td class="c-way">
      <code title="${displayText(source)}">${displayText(source)}</code
      ><code title="${displayText(target)}">${displayText(target)}</code>
    </td>
    <td class="c-state">
      ${badge(state)}${states.filter((one) => one !== state && one !== "waiting").map((one) => html` <span class="also">${one}</span>`)}
    </td>
    <td class="c-fresh" data-label="Fresh">${age(mirror.lastSuccessAt, clock)}</td>
    <td class="c-tags" data-label="Tags">
      <div>
        ${numberText(tags)}${failedTags > 0 ? html` <span class="bad">${numberText(failedTags)} failed</span>` : ""}
      </div>
    </td>
    <td class="c-runs" data-label="Last runs">${runStrip(recent)}</td>
    <td class="c-last" data-label="Last run">${shortMoment(mirror.lastRunAt, clock)}</td>
    <td class="c-next" data-label="Next run">${nextRun(mirror)}</td>
    <td class="c-wrong">${wrong(mirror)}</td>
    ${mayAct ? html`<td class="c-do">${rowButton(mirror)}</td>` : ""}`;
}

function rowButton({ name, pausedAt }: MirrorStatus): Html {
  const [action, word, rest] = pausedAt === undefined ? ["sync", "Sync", " now"] : ["resume", "Resume", ""];
  return html`<button class="small" formaction="${hrefOf(name)}/${action}">
    ${word}<span class="unseen">${rest} ${displayText(name)}</span>
  </button>`;
}

export function nextRun(mirror: MirrorStatus): Html {
  const clock = clockOf(mirror);
  if (mirror.pausedAt !== undefined) return html`<span class="quiet">paused</span>`;
  if (mirror.nextRunAt !== undefined) return shortMoment(mirror.nextRunAt, clock);
  return html`<span class="quiet">when asked</span>`;
}

/** Who paused a mirror, and when. */
export function pausedWords({ pausedAt, pausedBy }: MirrorStatus): string {
  if (pausedAt === undefined) return "";
  const by = pausedBy === undefined ? "" : ` by ${displayText(pausedBy)}`;
  return `paused ${relativeOf(pausedAt, new Date())}${by}`;
}

/** In one line: what is wrong, else what is under way. The title has the whole text. */
function wrong(mirror: MirrorStatus): Html {
  const progress = mirror.underWay.length > 0 ? progressLine(mirror) : "";
  const text = wrongWords(mirror);
  if (text === "") return html`${progress}`;
  const tone = needsAttention(mirror) ? "bad-line" : "quiet";
  return html`${progress}<span class="lines ${tone}" title="${text}">${text}</span>`;
}

function wrongWords(mirror: MirrorStatus): string {
  const { reason, failure, retrying, failedTags, latenessS, quarantined, states, recent } = mirror;
  if (mirror.pausedAt !== undefined) return pausedWords(mirror);
  if (quarantined.length > 0)
    return `${countOf(quarantined.length, "tag")} crashed workers; press Retry on the page of the mirror`;
  if (retrying) return `${displayText(retrying.failure.message, { maxLength: 400 })}; ${retryWords(mirror)}`;
  const why = failure?.message ?? reason;
  if (why !== undefined) return displayText(why, { maxLength: 400 });
  if (failedTags > 0) return `${countOf(failedTags, "tag")} failed`;
  if (states.includes("late")) return `due ${spanOf(latenessS * 1000)} ago, and no run has ended since`;
  const empty = recent[0]?.warnings.find(({ code }) => code === "FILTER_EMPTY");
  return empty && states.includes("empty") ? displayText(empty.message, { maxLength: 400 }) : "";
}

function progressLine({ run, underWay }: MirrorStatus): Html {
  const bytesPerSecond = underWay.reduce((sum, one) => sum + one.bytesPerSecond, 0);
  const done =
    run?.expected === undefined ? undefined : `${numberText(run.done)} of ${numberText(run.expected)}`;
  return html`<span class="line"
    ><progress
      aria-label="Run"
      max="${run?.expected ?? 1}"
      ${run?.expected === undefined ? "" : html`value="${run.done}"`}
    ></progress>
    <span class="amount">${done === undefined ? "" : `${done} · `}${bytesOf(bytesPerSecond)}/s</span></span
  >`;
}
