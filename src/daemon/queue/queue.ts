import type { Job } from "./job.ts";

/**
 * Jobs, each done at least once by one worker at a time. One contract, two implementations: in this process, and BullMQ.
 */
export type Queue = AsyncDisposable & {
  /**
   * `duplicate`: the check is known (waiting, under way or done lately), or the tag's job waits and is this one now. A job
   * whose tag is under way follows when that one is done; of several, only the last.
   *
   * @throws {TagferryError} QUEUE_AWAY
   */
  add(job: Job, options?: AddOptions): Promise<"queued" | "duplicate">;
  /** Begins to take jobs. */
  work(handle: Handle, options: WorkOptions): Workers;
  counts(): Promise<Counts>;
  /** Forgets jobs that wait, of one mirror. */
  drop(mirror: string): Promise<number>;
};

export type AddOptions = {
  readonly delayMs?: number;
};

export type Counts = { readonly waiting: number; readonly active: number; readonly delayed: number };

/** Does a job. What it throws ends the job, but `Later`, which gives it back. */
export type Handle = (job: Job, turn: Turn) => Promise<void>;

export type Turn = {
  /** Aborts when the job is no longer ours: then nothing may be published. */
  readonly signal: AbortSignal;
  /** How often this job was begun and given back before. */
  readonly attempt: number;
  /** Asks whether the job is still ours; throws LOCK_LOST when not. Asked right before something is published. */
  assertStillOurs(): Promise<void>;
};

/** Gives a job back: it comes again after a while, and its place is free for another. */
export class RetryLater extends Error {
  override readonly name = "Later";
  readonly delayMs: number;
  readonly counts: boolean;
  constructor(delayMs: number, { counts = true }: { readonly counts?: boolean } = {}) {
    super(`again in ${delayMs} ms`);
    this.delayMs = delayMs;
    this.counts = counts;
  }
}

export type WorkOptions = {
  /** Jobs at a time. */
  readonly checks: number;
  readonly applies: number;
  /** What a handler threw that was not `Later`: a bug, since handlers answer for their own failures. */
  readonly onBroken: (job: Job, error: unknown) => void;
};

export type Workers = {
  /** No new job; resolves when those under way are done. Those that are not by `signal` are given back. */
  close(options: { readonly signal: AbortSignal }): Promise<void>;
};
