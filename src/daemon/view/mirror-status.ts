import type { Mirror } from "../../config/config.ts";
import type { Failure } from "../../errors/error.ts";
import { formatLocation } from "../../oci/reference.ts";
import type { MirrorTarget } from "../../sync/targets/target.ts";
import { overdueSince } from "../records/mirrors.ts";
import type {
  MirrorRecord,
  OpenRun,
  Progress,
  Quarantine,
  RunMark,
  TagRecord,
} from "../records/record-types.ts";
import type { MirrorState, MirrorStatus, RegistryPause } from "./view.ts";

/** A check that ends within this time after its due time (and jitter) is in time. */
const LATE_AFTER_MS = 120_000;

/** Facts about all mirrors. */
export type SharedFacts = {
  readonly underWay: readonly Progress[];
  readonly quarantined: readonly Quarantine[];
  readonly pauses: readonly RegistryPause[];
};

/** What is known about one mirror. */
export type MirrorFacts = SharedFacts & {
  readonly target: MirrorTarget;
  readonly record: MirrorRecord;
  readonly tags: readonly TagRecord[];
  readonly recent: readonly RunMark[];
  readonly run: OpenRun | undefined;
  readonly next: Date | undefined;
  readonly now: Date;
};

export function statusOf(mirror: Mirror, facts: MirrorFacts): MirrorStatus {
  const { name, source, schedule, labels } = mirror;
  const { record, tags, next, now, target, recent, run } = facts;
  const underWay = facts.underWay.filter((one) => one.mirror === name);
  const quarantined = facts.quarantined.filter((one) => one.mirror === name);
  const failure = record.retrying?.failure ?? recent[0]?.failure;
  const latenessS = lateness(mirror, record, now);
  const pauses = pausesOf(mirror, facts.pauses);
  const states = statesOf(record, {
    latenessS,
    running: underWay.length > 0,
    quarantined: quarantined.length > 0,
    empty: recent[0]?.warnings.some(({ code }) => code === "FILTER_EMPTY") ?? false,
  });
  return {
    name,
    source: formatLocation(source),
    target: target.name,
    registry: "registry" in source ? source.registry : "oci",
    ...(target.stream ? { namespace: target.stream.namespace } : {}),
    ...(labels ? { labels } : {}),
    ...(target.pullFrom === undefined ? {} : { pullFrom: target.pullFrom }),
    ...(target.storage === undefined ? {} : { storage: target.storage }),
    ...(schedule ? { schedule } : {}),
    ...lastingOf(record),
    ...reasonOf(record, tags, failure),
    ...(record.retrying ? { retrying: record.retrying } : {}),
    state: states[0] ?? "fresh",
    states,
    recent,
    ...(run ? { run } : {}),
    tags: tags.length,
    failedTags: tags.filter(({ failure: failed }) => failed).length,
    latenessS,
    underWay: underWay.map((one) => ({ ...one, bytesPerSecond: rateOf(one) })),
    quarantined,
    ...(pauses.length > 0 ? { pauses } : {}),
    ...(next ? { nextRunAt: next.toISOString() } : {}),
    ...(failure ? { failure } : {}),
  };
}

function lastingOf({
  retrying: _,
  dueSince: __,
  ...lasting
}: MirrorRecord): Omit<MirrorRecord, "retrying" | "dueSince"> {
  return lasting;
}

function pausesOf(
  { source, target, storage }: Mirror,
  pauses: readonly RegistryPause[],
): readonly RegistryPause[] {
  const hosts = [source, target, storage].flatMap((part) => ("registry" in part ? [part.registry] : []));
  return pauses.filter(({ registry }) => hosts.includes(registry));
}

/** Why the mirror fails: the last attempt if another one follows, the last run, or the first failed tag. */
function reasonOf(
  { retrying }: MirrorRecord,
  tags: readonly TagRecord[],
  failure: Failure | undefined,
): { readonly reason?: string } {
  if (retrying) {
    const { attempt, nextAt, tag } = retrying;
    const of = tag === undefined ? "" : ` of tag ${tag}`;
    return {
      reason: `attempt ${attempt}${of} failed (${wordsOf(retrying.failure)}); the next one is at ${nextAt}`,
    };
  }
  if (failure) return { reason: wordsOf(failure) };
  const failed = tags.find((tag) => tag.failure);
  return failed?.failure ? { reason: `tag ${failed.tag}: ${wordsOf(failed.failure)}` } : {};
}

const wordsOf = ({ code, message }: Failure): string => `${code}: ${message}`;

function rateOf({ bytes, startedAt, at }: Progress): number {
  const seconds = (Date.parse(at) - Date.parse(startedAt)) / 1000;
  return seconds > 0 ? Math.round(bytes / seconds) : 0;
}

/** Seconds since the first due time (and jitter) after the last finished run. */
function lateness({ schedule }: Mirror, record: MirrorRecord, now: Date): number {
  const since = overdueSince(record, now);
  if (!schedule || !since) return 0;
  return Math.max(0, Math.floor((now.getTime() - since.getTime() - schedule.jitterMs) / 1000));
}

type StateFacts = {
  readonly latenessS: number;
  readonly running: boolean;
  readonly quarantined: boolean;
  readonly empty: boolean;
};

/** All states that hold; the one that matters most is first. */
function statesOf(
  { pausedAt, failingSince, lastRunAt, retrying }: MirrorRecord,
  { latenessS, running, quarantined, empty }: StateFacts,
): readonly MirrorState[] {
  const holds: Readonly<Record<Exclude<MirrorState, "fresh">, boolean>> = {
    paused: pausedAt !== undefined,
    quarantined,
    failing: failingSince !== undefined || retrying !== undefined,
    running,
    late: latenessS * 1000 > LATE_AFTER_MS,
    empty,
    waiting: lastRunAt === undefined,
  };
  const states = Object.entries(holds).flatMap(([state, held]) => (held ? [state as MirrorState] : []));
  return states.some((state) => state !== "running") ? states : [...states, "fresh"];
}
