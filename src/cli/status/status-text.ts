import type { MirrorDetail, RegistryPause } from "../../daemon/view/view.ts";
import { oneLine } from "../../lib/pretty.ts";
import { shortDigest } from "../../oci/digest.ts";
import { inTagOrder } from "../../plan/tag-order.ts";
import { indent, renderFailure } from "../terminal/failure-text.ts";
import { plural } from "../terminal/mirror-text.ts";
import { table } from "../terminal/table.ts";
import { formatRelative, formatRoughly, shorten } from "../terminal/units.ts";
import type { StatusRecord } from "./status-record.ts";

export type StatusView = {
  /** On a terminal, times are relative and lines fit its width. */
  readonly terminal?: { readonly columns: number; readonly nowMs: number } | undefined;
};

const NAME_MIN_WIDTH = 16;
/** The width of all columns but the name, with their gaps. */
const OTHERS_WIDTH = 54;
/** Tags with the same failure are named up to this number. */
const TAGS_SHOWN = 6;

/** One line per mirror of a daemon, and below the table why mirrors and tags failed. */
export function renderStatus(mirrors: readonly StatusRecord[], view: StatusView): string {
  if (mirrors.length === 0) return "there are no mirrors";
  const why = mirrors.flatMap((mirror) => whyLines(mirror, view));
  const pauses = new Map(mirrors.flatMap(({ pauses: all = [] }) => all).map((one) => [one.registry, one]));
  return [
    table([
      ["MIRROR", "STATE", "TAGS", "LAST GOOD RUN", "NEXT RUN"],
      ...mirrors.map((mirror) => [
        nameIn(mirror.name, view),
        mirror.state,
        mirror.failedTags > 0 ? `${mirror.tags} (${mirror.failedTags} failed)` : `${mirror.tags}`,
        timeIn(mirror.lastSuccessAt, "never", view),
        mirror.state === "paused" ? "paused" : timeIn(mirror.nextRunAt, "on request", view),
      ]),
    ]),
    ...(why.length > 0 ? ["", ...why] : []),
    ...(pauses.size > 0 ? ["", ...[...pauses.values()].map((pause) => pauseLine(pause, view))] : []),
  ].join("\n");
}

/** A registry that gets no requests now. */
function pauseLine({ registry, kind, since, until }: RegistryPause, view: StatusView): string {
  const to = `${view.terminal ? "" : "at "}${timeIn(until, "", view)}`;
  return kind === "unresponsive"
    ? `${registry} has not answered ${sinceIn(since, view)}; it is tried again ${to}`
    : `${registry} asked for a pause ${view.terminal ? "" : "at "}${timeIn(since, "", view)}; requests continue ${to}`;
}

/** `for 3 min`, or `since` and the time. */
function sinceIn(iso: string, { terminal }: StatusView): string {
  return terminal ? `for ${formatRoughly(terminal.nowMs - Date.parse(iso))}` : `since ${iso}`;
}

function nameIn(name: string, { terminal }: StatusView): string {
  return terminal ? shorten(name, Math.max(NAME_MIN_WIDTH, terminal.columns - OTHERS_WIDTH)) : name;
}

function timeIn(iso: string | undefined, otherwise: string, { terminal }: StatusView): string {
  if (iso === undefined) return otherwise;
  return terminal ? formatRelative(iso, terminal.nowMs) : iso;
}

/** Why a mirror could not be checked, and why its tags failed. Tags with the same failure share one block. */
function whyLines(
  { name, failure, reason, failures, failingSince }: StatusRecord,
  view: StatusView,
): string[] {
  const since = failingSince === undefined ? "" : ` ${sinceIn(failingSince, view)}`;
  const own = failure
    ? [`${name}  failing${since}`, indent(renderFailure(failure))]
    : reason === undefined || failures.length > 0
      ? []
      : [`${name}  ${oneLine(reason)}`];
  const groups = Map.groupBy(failures, ({ failure: one }) => `${one.code} ${one.next}`);
  const tags = [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const names = group.slice(0, TAGS_SHOWN).map(({ tag }) => tag);
    const more = group.length > names.length ? ` and ${plural(group.length - names.length, "more tag")}` : "";
    return [`${name}  ${names.join(", ")}${more}`, indent(renderFailure(first.failure))];
  });
  return [...own, ...tags];
}

/** One mirror with its tags. */
export function renderDetail({ mirror, tags }: MirrorDetail, record: StatusRecord, view: StatusView): string {
  const { schedule, storage } = mirror;
  const facts = [
    ["source", mirror.source],
    ["target", mirror.target],
    ...(storage === undefined ? [] : [["storage", storage]]),
    ["state", mirror.pausedBy === undefined ? mirror.state : `${mirror.state} by ${mirror.pausedBy}`],
    ["schedule", schedule ? `${schedule.cron}, ${schedule.timeZone}` : "none: on request"],
    ["last run", timeIn(mirror.lastRunAt, "never", view)],
    ["last good run", timeIn(mirror.lastSuccessAt, "never", view)],
    ["next run", timeIn(mirror.nextRunAt, "on request", view)],
  ];
  const rows = inTagOrder(tags).map(({ tag, digest, publishedAt, last }) => [
    tag,
    last,
    digest === undefined ? "" : shortDigest(digest),
    timeIn(publishedAt, "", view),
  ]);
  const why = whyLines(record, view);
  return [
    mirror.name,
    indent(table(facts)),
    ...(rows.length > 0 ? ["", indent(table([["TAG", "LAST", "DIGEST", "PUBLISHED"], ...rows]))] : []),
    ...(why.length > 0 ? ["", ...why] : []),
  ].join("\n");
}
