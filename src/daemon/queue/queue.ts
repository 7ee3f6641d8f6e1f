import type { Job } from "./job.ts";

/**
 * Jobs. Each is done at least once, by one worker at a time. Implemented in process and on BullMQ.
 */
export type Queue = AsyncDisposable & {
  /**
   * `duplicate`: the run is known (it waits, runs or is done), or a job of the same mirror or tag waits. Then the two
   * are merged, with the shorter delay. If a job of the same mirror or tag runs, this one follows it. Of several, only
   * one follows (see `mergeJobs`).
   *
   * @throws {TagferryError} QUEUE_AWAY
   */
  add(job: Job, options?: AddOptions): Promise<"queued" | "duplicate">;
  /** Starts to take jobs. */
  work(handle: Handle, options: WorkOptions): Workers;
  counts(): Promise<Counts>;
  /** Removes the waiting jobs of a mirror. */
  drop(mirror: string): Promise<number>;
};

export type AddOptions = {
  readonly delayMs?: number;
};

export type Counts = { readonly waiting: number; readonly active: number; readonly delayed: number };

/** Does a job. An exception ends the job, except `RetryLater`, which gives it back. */
export type Handle = (job: Job, turn: Turn) => Promise<void>;

export type Turn = {
  /** Aborts when the job is no longer ours. Then nothing may be published. */
  readonly signal: AbortSignal;
  /** How often this job was given back before. */
  readonly attempt: number;
  /** Throws LOCK_LOST if the job is no longer ours. Called immediately before something is published. */
  assertStillOurs(): Promise<void>;
};

/** Gives a job back. It runs again after `delayMs`; until then its slot is free for other jobs. */
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
  /** The number of checks at once. Called whenever a slot may be free, because the configuration may change. */
  readonly checks: () => number;
  /** The number of applies at once. */
  readonly applies: number;
  /** Called when a handler throws anything but `RetryLater`. This is a bug: handlers record failures themselves. */
  readonly onBroken: (job: Job, error: unknown) => void;
};

export type Workers = {
  /** Takes no new job and waits for the running ones. When `signal` aborts, these are given back. */
  close(options: { readonly signal: AbortSignal }): Promise<void>;
};
