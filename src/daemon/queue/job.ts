import type { Action } from "../../plan/action.ts";

/** Why a mirror was checked. `stream`: somebody else changed what it published. `retry`: an earlier answer is out of date. */
export type Cause = "schedule" | "missed" | "asked" | "webhook" | "retry" | "stream";

/** What waits in the queue. JSON-safe: names and digests, never a secret. */
export type Job = CheckJob | ApplyJob;

/** The first half of the flow: what is wanted, what is there, what has to be done. */
export type CheckJob = {
  readonly kind: "check";
  readonly mirror: string;
  /** One run per mirror and due time (or other occasion), whichever replica noticed it. */
  readonly run: string;
  /** ISO, before jitter. */
  readonly dueAt: string;
  readonly cause: Cause;
  /** ISO: when the source says that it moved (webhooks). */
  readonly movedAt?: string;
};

/** The second half, for one tag, or for all tags that one request to the cluster publishes. */
export type ApplyJob = {
  readonly kind: "apply";
  readonly mirror: string;
  readonly run: string;
  readonly actions: readonly Action[];
  /**
   * Which reading of the source this was planned from. A later check of the mirror has a larger number, whatever the clocks
   * of the processes say: see `MirrorRecords.nextReading`.
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
 * What the job works on: one mirror, or one tag of it. Never two jobs of one subject at once, and never two that wait:
 * `mergeJobs` makes one of them.
 */
export function subjectOf(job: Job): string {
  if (job.kind === "check") return `check ${job.mirror}`;
  const [first, ...others] = job.actions;
  return `apply ${job.mirror}:${others.length === 0 && first ? first.tag : "*"}`;
}

/**
 * Two jobs of one subject, of which only one has begun or none. A check that waits answers a later due time as well. Of two
 * plans the one that was read later wins, in whichever order they come.
 */
export function mergeJobs(waiting: Job, coming: Job): Job {
  if (waiting.kind === "apply" || coming.kind === "apply") return isOlder(coming, waiting) ? waiting : coming;
  const movedAt = [waiting.movedAt, coming.movedAt].filter((at) => at !== undefined).toSorted()[0];
  // a paused mirror is checked only when a person asked for it
  const cause = coming.cause === "asked" ? coming.cause : waiting.cause;
  return { ...waiting, cause, ...(movedAt === undefined ? {} : { movedAt }) };
}

function isOlder(job: Job, than: Job): boolean {
  return job.kind === "apply" && than.kind === "apply" && job.reading < than.reading;
}

/** What a crash is counted for. Another digest is another matter; a check is counted per run. */
export function crashKeyOf(job: Job): string {
  return job.kind === "check" ? `check ${job.run}` : workKeyOf(job);
}

/** What is quarantined: the check of a mirror, or a digest of a tag. */
export function workKeyOf(job: Job): string {
  if (job.kind === "check") return `check ${job.mirror}`;
  const [first, ...others] = job.actions;
  const image = first && "image" in first && others.length === 0 ? `@${first.image.digest}` : "";
  return `${subjectOf(job)}${image}`;
}
