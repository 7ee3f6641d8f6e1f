import { TagferryError } from "../../errors/error.ts";
import { type Job, mergeJobs, subjectOf } from "./job.ts";
import { type Handle, RetryLater, type Queue, type Turn, type WorkOptions } from "./queue.ts";

/** Runs that were queued, so that a due time that is reported late is not checked again. */
const REMEMBERED_MAX = 10_000;

type Entry = {
  readonly subject: string;
  job: Job;
  attempt: number;
  /** While it is delayed. */
  delay?: { readonly timer: NodeJS.Timeout; readonly untilMs: number };
};

type Active = { readonly entry: Entry; readonly stop: AbortController; done: Promise<void> };
type RunningWorkers = { readonly handle: Handle; readonly options: WorkOptions; closing: boolean };

/** The queue of a single process. What waits is lost with the process: the next check finds it again. */
export function inProcessQueue(): Queue {
  /** By subject, oldest first: delayed ones, those that wait for a slot, and those that wait for the active one. */
  const pending = new Map<string, Entry>();
  const active = new Map<string, Active>();
  const known = new Set<string>();
  let workers: RunningWorkers | undefined;

  function remember(run: string): void {
    known.add(run);
    for (const oldest of known) {
      if (known.size <= REMEMBERED_MAX) return;
      known.delete(oldest);
    }
  }

  function release(entry: Entry): void {
    clearTimeout(entry.delay?.timer);
    delete entry.delay;
  }

  function postpone(entry: Entry, delayMs: number): void {
    release(entry);
    if (delayMs <= 0) return;
    const timer = setTimeout(() => {
      release(entry);
      fill();
    }, delayMs).unref();
    entry.delay = { timer, untilMs: performance.now() + delayMs };
  }

  /** What waits already becomes this job as well, and is not delayed longer than the job is. */
  function join(entry: Entry, job: Job, delayMs: number): void {
    entry.job = mergeJobs(entry.job, job);
    if (entry.delay && entry.delay.untilMs > performance.now() + delayMs) postpone(entry, delayMs);
  }

  function fill(): void {
    if (!workers || workers.closing) return;
    const { options } = workers;
    const room = { check: options.checks(), apply: options.applies };
    for (const { entry } of active.values()) room[entry.job.kind] -= 1;
    for (const entry of pending.values()) {
      if (entry.delay || room[entry.job.kind] <= 0 || active.has(entry.subject)) continue;
      pending.delete(entry.subject);
      room[entry.job.kind] -= 1;
      start(entry, workers);
    }
  }

  function start(entry: Entry, { handle, options }: RunningWorkers): void {
    const stop = new AbortController();
    const turn: Turn = {
      signal: stop.signal,
      attempt: entry.attempt,
      assertStillOurs: async () => stop.signal.throwIfAborted(),
    };
    const work = async (): Promise<void> => {
      try {
        await handle(entry.job, turn);
      } catch (error) {
        if (error instanceof RetryLater) giveBack(entry, error);
        else if (!stop.signal.aborted) options.onBroken(entry.job, error);
      }
      active.delete(entry.subject);
      fill();
    };
    active.set(entry.subject, { entry, stop, done: work() });
  }

  /** A plan that was read later takes the place of one that has to be tried again; a check stays the run that it is. */
  function giveBack(entry: Entry, again: RetryLater): void {
    const follower = pending.get(entry.subject);
    if (follower?.job.kind === "apply") return;
    if (follower) {
      entry.job = mergeJobs(entry.job, follower.job);
      release(follower);
    }
    if (again.counts) entry.attempt += 1;
    pending.set(entry.subject, entry);
    postpone(entry, again.delayMs);
  }

  return {
    async add(job, { delayMs = 0 } = {}) {
      const subject = subjectOf(job);
      if (job.kind === "check") {
        if (known.has(job.run)) return "duplicate";
        remember(job.run);
      }
      const same = pending.get(subject);
      if (same) {
        join(same, job, delayMs);
        fill();
        return "duplicate";
      }
      const entry: Entry = { subject, job, attempt: 0 };
      pending.set(subject, entry);
      postpone(entry, delayMs);
      fill();
      return "queued";
    },
    work(handle, options) {
      const mine: RunningWorkers = { handle, options, closing: false };
      workers = mine;
      fill();
      return {
        async close({ signal }) {
          mine.closing = true;
          const giveUp = (): void => {
            for (const { stop } of active.values())
              stop.abort(new TagferryError("LOCK_LOST", "the process is stopping"));
          };
          if (signal.aborted) giveUp();
          signal.addEventListener("abort", giveUp, { once: true });
          await Promise.all([...active.values()].map(({ done }) => done));
          signal.removeEventListener("abort", giveUp);
        },
      };
    },
    async counts() {
      const delayed = [...pending.values()].filter(({ delay }) => delay).length;
      return { waiting: pending.size - delayed, active: active.size, delayed };
    },
    async drop(mirror) {
      const dropped = [...pending.values()].filter(({ job }) => job.mirror === mirror);
      for (const entry of dropped) {
        release(entry);
        pending.delete(entry.subject);
      }
      return dropped.length;
    },
    async [Symbol.asyncDispose]() {
      for (const entry of pending.values()) release(entry);
    },
  };
}
