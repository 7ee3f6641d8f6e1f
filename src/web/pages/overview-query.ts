import type { Context } from "hono";

import { MIRROR_STATES, type MirrorState, type MirrorStatus } from "../../daemon/view/view.ts";
import { TagferryError } from "../../errors/error.ts";
import { numberIn } from "../query.ts";
import { displayText, textOf } from "./parts/words.ts";

/** What the overview shows, and in which order. All of it is in the address of the page. */
export type OverviewQuery = {
  /** Words that name, source, target or labels contain. */
  readonly q: string;
  readonly state?: MirrorState;
  readonly namespace?: string;
  /** `name=value`. */
  readonly label?: string;
  readonly sort: SortKey;
  readonly group?: GroupKey;
  readonly page: number;
  /** Rows of a page. */
  readonly rows: number;
};

export const SORT_KEYS = ["trouble", "name", "fresh", "tags", "last", "next"] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export const GROUP_KEYS = ["namespace", "registry"] as const;
export type GroupKey = (typeof GROUP_KEYS)[number];

export const ROWS = 100;
const ROWS_MAX = 1_000;
const TEXT_MAX = 200;

/** @throws {TagferryError} WEB_REQUEST */
export function readQuery(context: Context): OverviewQuery {
  const state = choiceIn(context, "state", MIRROR_STATES);
  const group = choiceIn(context, "group", GROUP_KEYS);
  const namespace = textIn(context, "namespace");
  const label = textIn(context, "label");
  return {
    q: textIn(context, "q") ?? "",
    sort: choiceIn(context, "sort", SORT_KEYS) ?? "trouble",
    page: numberIn(context, "page", { from: 1, to: 1_000_000, otherwise: 1 }),
    rows: numberIn(context, "rows", { from: 10, to: ROWS_MAX, otherwise: ROWS }),
    ...(state === undefined ? {} : { state }),
    ...(group === undefined ? {} : { group }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(label === undefined ? {} : { label }),
  };
}

/** An empty field of the form is the same as no field. */
function textIn(context: Context, key: string): string | undefined {
  const text = context.req.query(key)?.trim().slice(0, TEXT_MAX);
  return text === "" ? undefined : text;
}

function choiceIn<Choice extends string>(
  context: Context,
  key: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = textIn(context, key);
  const choice = choices.find((known) => known === text);
  if (text !== undefined && choice === undefined)
    throw new TagferryError("WEB_REQUEST", `${key} is not one of ${choices.join(", ")}`);
  return choice;
}

/** The address of the overview with another choice. Every change leads to the first page, except a change of the page. */
export function hrefWith(
  query: OverviewQuery,
  change: Partial<Record<keyof OverviewQuery, unknown>>,
): string {
  const { q, state, namespace, label, group, sort, rows, page } = { ...query, page: 1, ...change };
  const defaults: Readonly<Record<string, unknown>> = { q: "", sort: "trouble", rows: ROWS, page: 1 };
  const fields = Object.entries({ q, state, namespace, label, group, sort, rows, page });
  const text = fields
    .filter(([name, value]) => value !== undefined && value !== defaults[name])
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`)
    .join("&");
  return text === "" ? "/" : `/?${text}`;
}

/** The mirrors that fit everything but the state: the numbers beside the states count these. */
export function fitting(mirrors: readonly MirrorStatus[], query: OverviewQuery): readonly MirrorStatus[] {
  const { namespace, label } = query;
  const words = query.q
    .toLowerCase()
    .split(/\s/)
    .filter((word) => word !== "");
  return mirrors.filter(
    (mirror) =>
      (namespace === undefined || mirror.namespace === namespace) &&
      (label === undefined || labelsOf(mirror).includes(label)) &&
      words.every((word) => searchText(mirror).includes(word)),
  );
}

function searchText(mirror: MirrorStatus): string {
  const { name, source, target } = mirror;
  return `${name} ${source} ${target} ${labelsOf(mirror).join(" ")}`.toLowerCase();
}

/** As `name=value`. */
export function labelsOf({ labels }: MirrorStatus): readonly string[] {
  return Object.entries(labels ?? {}).map(([name, value]) => displayText(`${name}=${value}`));
}

/** Whether a state holds, also when another one matters more. A record that makes no sense must not break the list. */
export function isIn({ state, states }: MirrorStatus, wanted: MirrorState): boolean {
  return state === wanted || (Array.isArray(states) && states.includes(wanted));
}

const TROUBLE: readonly MirrorState[] = ["failing", "quarantined", "late", "empty"];

export function needsAttention(mirror: MirrorStatus): boolean {
  return !isIn(mirror, "paused") && TROUBLE.some((state) => isIn(mirror, state));
}

/** A new list in the order of the query. Mirrors of the same place are sorted by name. */
export function sorted(mirrors: readonly MirrorStatus[], { sort }: OverviewQuery): readonly MirrorStatus[] {
  const compare = ORDERS[sort];
  return mirrors.toSorted((one, other) => compare(one, other) || NAMES.compare(one.name, other.name));
}

const NAMES = new Intl.Collator("en", { numeric: true });

type Order = (one: MirrorStatus, other: MirrorStatus) => number;

const ORDERS: Readonly<Record<SortKey, Order>> = {
  trouble: (one, other) => rankOf(one) - rankOf(other),
  name: () => 0,
  fresh: byTime(({ lastSuccessAt }) => lastSuccessAt),
  tags: (one, other) => other.failedTags - one.failedTags || other.tags - one.tags,
  last: (one, other) => byTime(({ lastRunAt }) => lastRunAt)(other, one),
  next: byTime(({ nextRunAt }) => nextRunAt),
};

/** A paused mirror needs nobody, whatever else it is. */
function rankOf(mirror: MirrorStatus): number {
  const state = isIn(mirror, "paused")
    ? "paused"
    : (TROUBLE.find((one) => isIn(mirror, one)) ?? mirror.state);
  return MIRROR_STATES.indexOf(state);
}

/** Oldest first. A mirror without this time is first: it never got there. */
function byTime(timeOf: (mirror: MirrorStatus) => string | undefined): Order {
  return (one, other) => textOf(timeOf(one)).localeCompare(textOf(timeOf(other)));
}

export type MirrorGroup = { readonly name: string; readonly mirrors: readonly MirrorStatus[] };

/** One group without a name when the query asks for none. Groups are sorted by name, mirrors stay as they are sorted. */
export function grouped(mirrors: readonly MirrorStatus[], { group }: OverviewQuery): readonly MirrorGroup[] {
  if (group === undefined) return [{ name: "", mirrors }];
  const groups = Map.groupBy(mirrors, (mirror) => textOf(mirror[group]));
  return [...groups]
    .map(([name, members]) => ({ name, mirrors: members }))
    .toSorted((one, other) => NAMES.compare(one.name, other.name));
}
