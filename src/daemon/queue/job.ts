import type { Action } from "../../plan/action.ts";

/**
 * Why a mirror is checked. `first`: it was never checked. `stream`: somebody else changed its tags. `retry`: an earlier
 * result is out of date.
 */
export type Cause = "schedule" | "first" | "missed" | "asked" | "webhook" | "retry" | "stream";

/** An entry of the queue. JSON-safe: names and digests, never a secret. */
export type Job = CheckJob | ApplyJob;

/** The first half of the flow: reads the source and the target, and plans. */
export type CheckJob = {
  readonly kind: "check";
  readonly mirror: string;
  /** The id of the run: one for each mirror and due time (or other occasion), the same in all replicas. */
  readonly run: string;
  /** ISO, before jitter. */
  readonly dueAt: string;
  readonly cause: Cause;
  /** ISO: when the source moved, according to a webhook. */
  readonly movedAt?: string;
};

/** The second half of the flow, for one tag, or for all tags that one request to the cluster publishes. */
export type ApplyJob = {
  readonly kind: "apply";
  readonly mirror: string;
  readonly run: string;
  readonly actions: readonly Action[];
  /**
   * The reading of the source that this was planned from. A later check of the mirror has a larger number, also when
   * the clocks of the processes differ: see `MirrorRecords.nextReading`.
   */
  readonly reading: number;
  /** ISO. */
  readonly plannedAt: string;
  /** ISO: the earliest time at which the source can have moved. */
  readonly movedAt?: string;
};

export function runId(mirror: string, dueAt: Date): string {
  return `${mirror}@${dueAt.toISOString()}`;
}

/**
 * The subject of a job: a mirror, or a tag of a mirror. Two jobs with one subject never run at once. If two wait,
 * `mergeJobs` merges them.
 */
export function subjectOf(job: Job): string {
  if (job.kind === "check") return `check ${job.mirror}`;
  const [first, ...others] = job.actions;
  if (others.length > 0 || !first) return `apply ${job.mirror}:*`;
  // a push publishes nothing, so it never replaces a job that publishes the same tag
  return `${first.kind === "push" ? "push" : "apply"} ${job.mirror}:${first.tag}`;
}

/**
 * Merges two jobs of one subject. A check that waits also answers a later due time. Of two plans, the one that was read
 * later is kept, in any order of arrival.
 */
export function mergeJobs(waiting: Job, coming: Job): Job {
  if (waiting.kind === "apply" || coming.kind === "apply") return isOlder(coming, waiting) ? waiting : coming;
  const movedAt = [waiting.movedAt, coming.movedAt].filter((at) => at !== undefined).toSorted()[0];
  // a paused mirror is checked only on request
  const cause = coming.cause === "asked" ? coming.cause : waiting.cause;
  return { ...waiting, cause, ...(movedAt === undefined ? {} : { movedAt }) };
}

function isOlder(job: Job, than: Job): boolean {
  return job.kind === "apply" && than.kind === "apply" && job.reading < than.reading;
}

/** The key under which crashes are counted: a digest of a tag, or a run. */
export function crashKeyOf(job: Job): string {
  return job.kind === "check" ? `check ${job.run}` : workKeyOf(job);
}

/** The key of a quarantine: the check of a mirror, or a digest of a tag. */
export function workKeyOf(job: Job): string {
  if (job.kind === "check") return `check ${job.mirror}`;
  const [first, ...others] = job.actions;
  const image = first && "image" in first && others.length === 0 ? `@${first.image.digest}` : "";
  return `${subjectOf(job)}${image}`;
}
