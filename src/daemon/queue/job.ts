import type { Action } from "../../plan/action.ts";

/** Why a mirror was checked. `stream`: somebody else changed what it published. */
export type Cause = "schedule" | "missed" | "asked" | "webhook" | "retry" | "stream";

/** What waits in the queue. JSON-safe: names and digests, never a secret. */
export type Job = CheckJob | ApplyJob;

/** The first half of the flow: what is wanted, what is there, what has to be done. */
export type CheckJob = {
  readonly kind: "check";
  readonly mirror: string;
  /** One run per mirror and due time (or other occasion), whoever noticed it. */
  readonly run: string;
  /** ISO, before jitter. */
  readonly dueAt: string;
  readonly cause: Cause;
  /** ISO: when the source says that it moved (webhooks). */
  readonly movedAt?: string;
};

/** The second half, for one tag, or for all that one request to the cluster does. */
export type ApplyJob = {
  readonly kind: "apply";
  readonly mirror: string;
  readonly run: string;
  readonly actions: readonly Action[];
  /** ISO: what was published since then is known to the records. */
  readonly plannedAt: string;
  /** ISO: the earliest time at which the source can have moved. */
  readonly movedAt?: string;
};

export function runId(mirror: string, dueAt: Date): string {
  return `${mirror}@${dueAt.toISOString()}`;
}

/**
 * What the job works on. A check is known by its due time: given twice, done once. An apply is known by its tag: never two at
 * once, and of several that wait the last.
 */
export function subjectOf(job: Job): string {
  if (job.kind === "check") return `check ${job.run}`;
  const [first, ...others] = job.actions;
  return `apply ${job.mirror}:${others.length === 0 && first ? first.tag : "*"}`;
}

/** What a crash is counted for. Another digest is another matter, and checks of one mirror may overlap. */
export function crashKeyOf(job: Job): string {
  return job.kind === "check" ? subjectOf(job) : workKeyOf(job);
}

/** What is quarantined: the check of a mirror, or a digest of a tag. */
export function workKeyOf(job: Job): string {
  if (job.kind === "check") return `check ${job.mirror}`;
  const [first, ...others] = job.actions;
  const image = first && "image" in first && others.length === 0 ? `@${first.image.digest}` : "";
  return `${subjectOf(job)}${image}`;
}
