import { TagferryError } from "../../errors/error.ts";
import { type Job, mergeJobs, subjectOf } from "./job.ts";
import { type Handle, RetryLater, type Queue, type Turn, type WorkOptions } from "./queue.ts";

/** The last runs are remembered, so that a due time that is reported twice is checked once. */
const REMEMBERED_MAX = 10_000;
const KINDS = ["check", "apply"] as const satisfies readonly Job["kind"][];

type Entry = {
  readonly subject: string;
  job: Job;
  attempt: number;
  /** While it is delayed. */
  delay?: { readonly timer: NodeJS.Timeout; readonly untilMs: number };
};

type Active = { readonly entry: Entry; readonly stop: AbortController; done: Promise<void> };
type RunningWorkers = { readonly handle: Handle; readonly options: WorkOptions; closing: boolean };

/** The queue of a single process. Waiting jobs are lost with the process: the next check finds their work again. */
export function inProcessQueue(): Queue {
  /** By subject, oldest first. They are delayed, or wait for a slot, or wait for the active job of their subject. */
  const pending = { check: new Map<string, Entry>(), apply: new Map<string, Entry>() };
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

  /** Merges the job into the one that waits, with the shorter of the two delays. */
  function join(entry: Entry, job: Job, delayMs: number): void {
    entry.job = mergeJobs(entry.job, job);
    if (entry.delay && entry.delay.untilMs > performance.now() + delayMs) postpone(entry, delayMs);
  }

  function fill(): void {
    if (!workers || workers.closing) return;
    const { options } = workers;
    const room = { check: options.checks(), apply: options.applies };
    for (const { entry } of active.values()) room[entry.job.kind] -= 1;
    for (const kind of KINDS)
      for (const entry of pending[kind].values()) {
        if (room[kind] <= 0) break;
        if (entry.delay || active.has(entry.subject)) continue;
        pending[kind].delete(entry.subject);
        room[kind] -= 1;
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

  /** A job that has to be tried again gives way to a later plan of the same tag. A check keeps its run. */
  function giveBack(entry: Entry, again: RetryLater): void {
    const waiting = pending[entry.job.kind];
    const follower = waiting.get(entry.subject);
    if (follower?.job.kind === "apply") return;
    if (follower) {
      entry.job = mergeJobs(entry.job, follower.job);
      release(follower);
    }
    if (again.counts) entry.attempt += 1;
    waiting.set(entry.subject, entry);
    postpone(entry, again.delayMs);
  }

  return {
    async add(job, { delayMs = 0 } = {}) {
      const subject = subjectOf(job);
      if (job.kind === "check") {
        if (known.has(job.run)) return "duplicate";
        remember(job.run);
      }
      const same = pending[job.kind].get(subject);
      if (same) {
        join(same, job, delayMs);
        fill();
        return "duplicate";
      }
      const entry: Entry = { subject, job, attempt: 0 };
      pending[job.kind].set(subject, entry);
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
      const all = KINDS.flatMap((kind) => [...pending[kind].values()]);
      const delayed = all.filter(({ delay }) => delay).length;
      return { waiting: all.length - delayed, active: active.size, delayed };
    },
    async drop(mirror) {
      let dropped = 0;
      for (const kind of KINDS)
        for (const entry of pending[kind].values()) {
          if (entry.job.mirror !== mirror) continue;
          release(entry);
          pending[kind].delete(entry.subject);
          dropped += 1;
        }
      return dropped;
    },
    async [Symbol.asyncDispose]() {
      for (const kind of KINDS) for (const entry of pending[kind].values()) release(entry);
    },
  };
}
