import { html } from "hono/html";

import type { HourOfWork } from "../../daemon/records/record-types.ts";
import { type Health, MIRROR_STATES, type MirrorStatus } from "../../daemon/view/view.ts";
import type { Failure } from "../../errors/error.ts";
import { daemonFacts } from "./daemon-facts.ts";
import { mirrorTable } from "./mirror-table.ts";
import {
  fitting,
  type MirrorGroup,
  GROUP_KEYS,
  grouped,
  hrefWith,
  isIn,
  labelsOf,
  needsAttention,
  type OverviewQuery,
  ROWS,
  sorted,
} from "./overview-query.ts";
import { banners, failureBox } from "./parts/failures.ts";
import { type Html, pager, partOf } from "./parts/parts.ts";
import { countOf, displayText, numberText } from "./parts/words.ts";

export type Overview = {
  readonly health: Health;
  readonly mayAct: boolean;
  /** All mirrors; undefined while Redis is unavailable. */
  readonly mirrors: readonly MirrorStatus[] | undefined;
  /** Why the mirrors could not be read. */
  readonly failure?: Failure;
  readonly query: OverviewQuery;
  /** The last 24 hours; undefined while they cannot be read. */
  readonly day: readonly HourOfWork[] | undefined;
};

export function overviewPage(overview: Overview): Html {
  const { health, mirrors, failure } = overview;
  return html`${banners(health)}
  ${mirrors ? mirrorsPart({ ...overview, mirrors }) : html`<h1>The mirrors cannot be shown now</h1>`}
  ${failure ? failureBox(failure) : ""} ${partOf("The daemon", () => daemonFacts(health, overview.day))}`;
}

type Known = Overview & { readonly mirrors: readonly MirrorStatus[] };

function mirrorsPart({ mirrors, query, mayAct }: Known): Html {
  if (mirrors.length === 0) return noMirrors();
  const found = fitting(mirrors, query);
  const { state } = query;
  const chosen = state === undefined ? found : found.filter((mirror) => isIn(mirror, state));
  const { groups, page, pages } = pageOfGroups(chosen, query);
  return html`<div class="headline">
      <h1>${headline(mirrors)}</h1>
      ${stateLinks(found, query)}
    </div>
    ${searchForm(mirrors, query)}
    ${
      chosen.length === 0
        ? html`<p class="none">No mirror fits. <a href="/">Show all ${numberText(mirrors.length)}</a></p>`
        : html`<form method="post" class="bulk" data-act>
            <input type="hidden" name="back" value="${hrefWith(query, { page })}" />
            ${mayAct ? bulkBar() : ""} ${mirrorTable({ groups, query, mayAct })}
          </form>`
    }
    ${pager({ page, pages, href: (to) => hrefWith(query, { page: to }) })}`;
}

function noMirrors(): Html {
  return html`<div class="headline">
    <h1>No mirrors yet</h1>
    <p>Write them under <code>mirrors:</code> in the configuration file. It is read again when it changes.</p>
  </div>`;
}

/** The rows of one page, in their groups. A group can go on on the next page. */
function pageOfGroups(
  chosen: readonly MirrorStatus[],
  query: OverviewQuery,
): { readonly groups: readonly MirrorGroup[]; readonly page: number; readonly pages: number } {
  const ordered = grouped(sorted(chosen, query), query).flatMap(({ mirrors }) => mirrors);
  const pages = Math.max(1, Math.ceil(ordered.length / query.rows));
  const page = Math.min(query.page, pages);
  const rows = ordered.slice((page - 1) * query.rows, page * query.rows);
  return { groups: grouped(rows, query), page, pages };
}

function headline(mirrors: readonly MirrorStatus[]): string {
  const troubled = mirrors.filter(needsAttention).length;
  if (troubled === 0) return `No problems with ${countOf(mirrors.length, "mirror")}`;
  return `${numberText(troubled)} of ${countOf(mirrors.length, "mirror")} ${troubled === 1 ? "needs" : "need"} attention`;
}

function stateLinks(found: readonly MirrorStatus[], query: OverviewQuery): Html {
  const counted = MIRROR_STATES.map((state) => ({
    state,
    count: found.filter((mirror) => isIn(mirror, state)).length,
  })).filter(({ state, count }) => count > 0 || state === query.state);
  const current = html`aria-current="page"`;
  return html`<nav class="filters" aria-label="Filter by state">
    <a href="${hrefWith(query, { state: undefined })}" ${query.state === undefined ? current : ""}
      >all <b>${numberText(found.length)}</b></a
    >
    ${counted.map(
      ({ state, count }) =>
        html`<a
          class="is-${state}"
          href="${hrefWith(query, { state })}"
          ${query.state === state ? current : ""}
          >${state} <b>${numberText(count)}</b></a
        >`,
    )}
  </nav>`;
}

/** A plain form: it works without the script, which sends it while somebody types. */
function searchForm(mirrors: readonly MirrorStatus[], query: OverviewQuery): Html {
  const namespaces = namesOf(mirrors.flatMap(({ namespace }) => namespace ?? []));
  const labels = namesOf(mirrors.flatMap(labelsOf));
  const { state, sort, rows, namespace, label, group } = query;
  const keep = {
    ...(state ? { state } : {}),
    ...(sort === "trouble" ? {} : { sort }),
    ...(rows === ROWS ? {} : { rows }),
  };
  return html`<form class="search" method="get" action="/" role="search" data-search>
    ${Object.entries(keep).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
    <label class="unseen" for="q">Search mirrors</label>
    <input
      id="q"
      name="q"
      type="search"
      value="${query.q}"
      placeholder="Search name, source, target, label"
      autocomplete="off"
      aria-keyshortcuts="/"
    />
    ${choice({ name: "namespace", every: "All namespaces", chosen: namespace, options: namespaces })}
    ${choice({ name: "label", every: "All labels", chosen: label, options: labels })}
    ${choice({ name: "group", every: "No groups", chosen: group, options: GROUP_KEYS, prefix: "Group by " })}
    <button class="plain" data-show>Show</button>
  </form>`;
}

type Choice = {
  readonly name: string;
  readonly every: string;
  readonly chosen: string | undefined;
  readonly options: readonly string[];
  readonly prefix?: string;
};

function choice({ name, every, chosen, options, prefix = "" }: Choice): Html | string {
  if (options.length === 0) return "";
  return html`<label class="unseen" for="by-${name}">${every}</label>
    <select id="by-${name}" name="${name}">
      <option value="">${every}</option>
      ${options.map(
        (option) =>
          html`<option value="${option}" ${option === chosen ? html`selected` : ""}>
            ${prefix}${displayText(option)}
          </option>`,
      )}
    </select>`;
}

const NAMES_MAX = 500;

function namesOf(names: readonly string[]): readonly string[] {
  return [...new Set(names.filter((name) => typeof name === "string"))].toSorted().slice(0, NAMES_MAX);
}

function bulkBar(): Html {
  return html`<div class="bulk-bar">
    <span class="quiet" data-chosen>Selected mirrors:</span>
    ${(["sync", "pause", "resume"] as const).map(
      (action) => html`<button class="plain" formaction="/bulk/${action}">${BULK_WORDS[action]}</button>`,
    )}
  </div>`;
}

const BULK_WORDS = { sync: "Sync now", pause: "Pause", resume: "Resume" } as const;
