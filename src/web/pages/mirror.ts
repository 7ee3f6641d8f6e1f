import { html } from "hono/html";

import type { TagRecord } from "../../daemon/records/record-types.ts";
import type { Health, MirrorDetail, MirrorStatus } from "../../daemon/view/view.ts";
import { dayFacts } from "./day.ts";
import { nextRun, pausedWords } from "./mirror-table.ts";
import { actions } from "./parts/actions.ts";
import { banners, causeList, causesOf, failureBox, quarantineBox, reasonOf } from "./parts/failures.ts";
import { badge, fact, hrefOf, type Html, pager, type Paging, partOf, route } from "./parts/parts.ts";
import { runStrip } from "./parts/spark.ts";
import { clockOf, moment } from "./parts/times.ts";
import { countOf, displayText, numberText, spanOf } from "./parts/words.ts";
import { copiesUnderWay, runTable, runUnderWay } from "./runs.ts";
import { tagTable } from "./tags.ts";

export type MirrorPage = {
  readonly health: Health;
  readonly detail: MirrorDetail;
  readonly mayAct: boolean;
  /** The tags on this page. */
  readonly tags: readonly TagRecord[];
  /** How many tags fit the search. */
  readonly found: number;
  readonly search: TagSearch;
  readonly paging: Paging;
};

export type TagSearch = { readonly q: string; readonly only: "failed" | undefined };

const RUNS_SHOWN = 10;

export function mirrorPage(page: MirrorPage): Html {
  const { health, detail, mayAct } = page;
  const { mirror, runs } = detail;
  return html`${banners(health)}
    <p class="back"><a href="/">All mirrors</a></p>
    <div class="mirror-head">
      <h1>${displayText(mirror.name)}</h1>
      ${partOf("Its state", () => badges(mirror))}
      ${partOf("Its actions", () => actions(mirror, { back: hrefOf(mirror.name), mayAct }))}
    </div>
    ${partOf("Its state", () => mirrorState(detail))}
    <section aria-labelledby="runs">
      <h2 id="runs">Runs</h2>
      ${partOf("Its runs", () => runTable(runs.slice(0, RUNS_SHOWN), clockOf(mirror)))}
    </section>
    ${partOf("Its tags", () => tagsPart(page))}`;
}

function badges({ state, states }: MirrorStatus): Html {
  const others = states.filter((one) => one !== state && one !== "waiting");
  return html`${badge(state)} ${others.map((one) => html`<span class="also">${one}</span>`)}`;
}

function mirrorState({ mirror, tags, runs, day }: MirrorDetail): Html {
  const open = runs.find(({ state }) => state === "running");
  return html`${route(mirror)} ${partOf("Its facts", () => mirrorFacts(mirror, day))}
  ${open ? partOf("Its run", () => runUnderWay(open, mirror)) : ""}
  ${partOf("Its copies", () => copiesUnderWay(mirror))} ${partOf("Why", () => reasonOf(mirror))}
  ${partOf("Its quarantine", () => quarantineBox(mirror, clockOf(mirror)))}
  ${partOf("Its warnings", () => warningList(mirror))}
  ${partOf("Its failed tags", () => causeList(mirror.name, causesOf(tags)))}`;
}

/** Of the last run. */
function warningList({ recent }: MirrorStatus): Html {
  return html`${(recent[0]?.warnings ?? []).map((warning) => failureBox(warning, { tone: "warn" }))}`;
}

function mirrorFacts(mirror: MirrorStatus, day: MirrorDetail["day"]): Html {
  const clock = clockOf(mirror);
  const { schedule, storage, failingSince, latenessS, pausedAt } = mirror;
  return html`<dl class="facts">
    ${fact(
      "Schedule",
      schedule
        ? html`<code>${displayText(schedule.cron)}</code>
            <span class="quiet">${displayText(schedule.timeZone)}</span>`
        : "none: on request",
    )}
    ${fact("Next run", pausedAt === undefined ? nextRun(mirror) : pausedWords(mirror))}
    ${fact("Last run", moment(mirror.lastRunAt, clock))}
    ${fact("Last good run", moment(mirror.lastSuccessAt, clock))}
    ${failingSince === undefined ? "" : fact("Failing since", moment(failingSince, clock))}
    ${latenessS > 0 ? fact("Late by", spanOf(latenessS * 1000)) : ""}
    ${storage === undefined ? "" : fact("Storage", html`<code>${displayText(storage)}</code>`)}
    ${fact("Last runs", runStrip(mirror.recent))} ${dayFacts(day)}
    ${mirror.labels ? fact("Labels", labelsText(mirror.labels)) : ""}
  </dl>`;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  return displayText(
    Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(", "),
  );
}

function tagsPart({ detail, tags, found, search, paging }: MirrorPage): Html {
  const { mirror } = detail;
  return html`<section aria-labelledby="tags">
    <div class="section-head">
      <h2 id="tags">${countOf(detail.tags.length, "tag")}</h2>
      ${detail.tags.length > 0 ? searchForm(mirror, search) : ""}
    </div>
    ${
      detail.tags.length === 0
        ? html`<p class="quiet">None yet.</p>`
        : found === 0
          ? html`<p class="none">No tag fits. <a href="${hrefOf(mirror.name)}#tags">Show all</a></p>`
          : tagTable(tags, mirror)
    }
    ${pager(paging)}
  </section>`;
}

function searchForm({ name, failedTags }: MirrorStatus, { q, only }: TagSearch): Html {
  return html`<form class="search" method="get" action="${hrefOf(name)}" role="search" data-search>
    <label class="unseen" for="q">Search tags</label>
    <input
      id="q"
      name="q"
      type="search"
      value="${q}"
      placeholder="Search tag or digest"
      autocomplete="off"
      aria-keyshortcuts="/"
    />
    <label class="tick"
      ><input type="checkbox" name="only" value="failed" ${only === undefined ? "" : html`checked`} /> failed
      (${numberText(failedTags)})</label
    >
    <button class="plain" data-show>Show</button>
  </form>`;
}
