import { TagferryError } from "../../errors/error.ts";
import { type Job, subjectOf } from "./job.ts";
import { type Handle, RetryLater, type Queue, type Turn, type WorkOptions } from "./queue.ts";

/** Ids of jobs that are done, so that a due time noticed late is not run again. */
const REMEMBERED_MAX = 10_000;

type Entry = {
  readonly subject: string;
  job: Job;
  attempt: number;
  timer?: NodeJS.Timeout;
};

type RunningWorkers = { readonly handle: Handle; readonly options: WorkOptions; closing: boolean };

/** The queue of a single process. What waits is lost with it: the next check finds it again. */
export function inProcessQueue(): Queue {
  const waiting: Entry[] = [];
  const delayed = new Set<Entry>();
  /** By subject. */
  const active = new Map<
    string,
    { readonly entry: Entry; readonly stop: AbortController; done: Promise<void> }
  >();
  const followers = new Map<string, Entry>();
  const known = new Set<string>();
  let workers: RunningWorkers | undefined;

  function remember(subject: string): void {
    known.add(subject);
    for (const oldest of known) {
      if (known.size <= REMEMBERED_MAX) return;
      known.delete(oldest);
    }
  }

  function enqueue(entry: Entry): void {
    if (active.has(entry.subject)) followers.set(entry.subject, entry);
    else waiting.push(entry);
    fill();
  }

  function postpone(entry: Entry, delayMs: number): void {
    delayed.add(entry);
    entry.timer = setTimeout(() => {
      delayed.delete(entry);
      enqueue(entry);
    }, delayMs).unref();
  }

  function fill(): void {
    if (!workers || workers.closing) return;
    const { options } = workers;
    const room = { check: options.checks, apply: options.applies };
    for (const { entry } of active.values()) room[entry.job.kind] -= 1;
    for (let at = 0; at < waiting.length;) {
      const entry = waiting[at];
      if (!entry || room[entry.job.kind] <= 0 || active.has(entry.subject)) {
        at += 1;
        continue;
      }
      waiting.splice(at, 1);
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
    const done = (async () => {
      let again: RetryLater | undefined;
      try {
        await handle(entry.job, turn);
      } catch (error) {
        if (error instanceof RetryLater) again = error;
        else if (!stop.signal.aborted) options.onBroken(entry.job, error);
      }
      active.delete(entry.subject);
      const follower = followers.get(entry.subject);
      followers.delete(entry.subject);
      // what follows knows better than what failed
      if (follower) enqueue(follower);
      else if (again) {
        if (again.counts) entry.attempt += 1;
        postpone(entry, again.delayMs);
      }
      fill();
    })();
    active.set(entry.subject, { entry, stop, done });
  }

  return {
    async add(job, { delayMs = 0 } = {}) {
      const subject = subjectOf(job);
      if (job.kind === "check") {
        if (known.has(subject)) return "duplicate";
        remember(subject);
      }
      const same = [...waiting, ...delayed].find((entry) => entry.subject === subject);
      if (same) {
        same.job = job;
        return "duplicate";
      }
      const entry: Entry = { subject, job, attempt: 0 };
      if (delayMs > 0) postpone(entry, delayMs);
      else enqueue(entry);
      return "queued";
    },
    work(handle, options) {
      workers = { handle, options, closing: false };
      const mine = workers;
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
    counts: async () => ({
      waiting: waiting.length + followers.size,
      active: active.size,
      delayed: delayed.size,
    }),
    async drop(mirror) {
      let dropped = 0;
      for (const entry of [...waiting, ...delayed, ...followers.values()]) {
        if (entry.job.mirror !== mirror) continue;
        clearTimeout(entry.timer);
        delayed.delete(entry);
        if (waiting.includes(entry)) waiting.splice(waiting.indexOf(entry), 1);
        if (followers.get(entry.subject) === entry) followers.delete(entry.subject);
        dropped += 1;
      }
      return dropped;
    },
    async [Symbol.asyncDispose]() {
      for (const entry of delayed) clearTimeout(entry.timer);
    },
  };
}
