import type { Job } from "./job.ts";

/**
 * Jobs, each done at least once by one worker at a time. One contract, two implementations: in this process, and BullMQ.
 */
export type Queue = AsyncDisposable & {
  /**
   * `duplicate`: the run is known (queued before, perhaps done), or a job of the same mirror or tag waits: the two are one
   * job now, and no longer delayed than either was. A job whose mirror or tag is under way follows afterwards; of several,
   * only one (see `mergeJobs`).
   *
   * @throws {TagferryError} QUEUE_AWAY
   */
  add(job: Job, options?: AddOptions): Promise<"queued" | "duplicate">;
  /** Begins to take jobs. */
  work(handle: Handle, options: WorkOptions): Workers;
  counts(): Promise<Counts>;
  /** Removes the jobs of a mirror that wait. */
  drop(mirror: string): Promise<number>;
};

export type AddOptions = {
  readonly delayMs?: number;
};

export type Counts = { readonly waiting: number; readonly active: number; readonly delayed: number };

/** Does a job. What it throws ends the job, except `RetryLater`, which gives the job back. */
export type Handle = (job: Job, turn: Turn) => Promise<void>;

export type Turn = {
  /** Aborts when the job is no longer ours: then nothing may be published. */
  readonly signal: AbortSignal;
  /** How often this job was begun and given back before. */
  readonly attempt: number;
  /** Asks whether the job is still ours; throws LOCK_LOST when not. Asked right before something is published. */
  assertStillOurs(): Promise<void>;
};

/** Gives a job back: it comes again after `delayMs`, and its slot is free for another job meanwhile. */
export class RetryLater extends Error {
  override readonly name = "RetryLater";
  readonly delayMs: number;
  readonly counts: boolean;
  constructor(delayMs: number, { counts = true }: { readonly counts?: boolean } = {}) {
    super(`again in ${delayMs} ms`);
    this.delayMs = delayMs;
    this.counts = counts;
  }
}

export type WorkOptions = {
  /** Checks at once; asked again whenever a slot may be free, because the configuration may change. */
  readonly checks: () => number;
  /** Applies at once. */
  readonly applies: number;
  /** A handler threw something else than `RetryLater`: a bug, because handlers record failures themselves. */
  readonly onBroken: (job: Job, error: unknown) => void;
};

export type Workers = {
  /** Takes no new job, and resolves when those under way are done. `signal`: those that still run are given back. */
  close(options: { readonly signal: AbortSignal }): Promise<void>;
};
