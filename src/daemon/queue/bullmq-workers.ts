import { DelayedError, type Job as BullJob, type Queue as BullQueue, Worker } from "bullmq";
import type { Redis } from "ioredis";

import { TagferryError } from "../../errors/error.ts";
import { sleep } from "../../lib/cancel.ts";
import type { Log } from "../../lib/log.ts";
import { REDIS_PREFIX, type RedisLink } from "../redis/connection.ts";
import type { Job } from "./job.ts";
import { type Handle, RetryLater, type WorkOptions } from "./queue.ts";

/** What BullMQ keeps. `attempt`: how often the job was begun and given back. */
export type Data = { readonly job: Job; readonly attempt: number };

export type BullWorkersOptions = Pick<WorkOptions, "onBroken"> & {
  readonly link: RedisLink;
  readonly log: Log;
  readonly lockMs: number;
  readonly watchdogMs: number;
  readonly concurrency: number;
  readonly handle: Handle;
};

/** Those of this process who work on one queue. */
export type BullWorkers = {
  /** What is under way is to end now, and is given back. */
  giveUp(): void;
  /** Takes nothing new and waits for what is under way; for a Redis that is away only a moment. */
  close(): Promise<void>;
};

/** Workers that die are counted by ourselves: BullMQ shall always hand the job on. */
const STALLED_MAX = 1_000_000;
/** For what BullMQ has to tell Redis when all work has ended. */
const CLOSING_MS = 1_000;

export function startBullWorkers(queue: BullQueue<Data>, options: BullWorkersOptions): BullWorkers {
  const { link, log, lockMs, watchdogMs, concurrency } = options;
  const jobs = new Set<AbortController>();
  let running = start();
  let idleSinceMs = performance.now();

  function start(): { readonly worker: Worker<Data>; readonly connection: Redis } {
    const connection = link.open(`worker-${queue.name}`);
    const worker = new Worker<Data>(
      queue.name,
      (job, token, signal) => turn(job, { token: token ?? "", cancelled: signal, running: jobs }, options),
      {
        connection,
        prefix: REDIS_PREFIX,
        skipVersionCheck: true, // `RedisLink` judges it
        concurrency,
        lockDuration: lockMs,
        stalledInterval: lockMs,
        maxStalledCount: STALLED_MAX,
        drainDelay: 2,
      },
    );
    worker.on("error", (error) => log.debug({ err: error }, "worker"));
    // BullMQ only tells that a lock is gone; the job would run on
    worker.on("lockRenewalFailed", (ids) => {
      for (const id of ids) worker.cancelJob(id, "the lock of the job is gone");
    });
    return { worker, connection };
  }

  /** A worker whose connection was cut has been seen to run for ever without taking anything. */
  async function watch(): Promise<void> {
    const counts = await queue.getJobCounts("waiting", "active");
    const isStuck = (counts["waiting"] ?? 0) > 0 && (counts["active"] ?? 0) === 0 && jobs.size === 0;
    if (!isStuck) idleSinceMs = performance.now();
    if (performance.now() - idleSinceMs < watchdogMs) return;
    log.warn({ queue: queue.name, counts }, "jobs wait and nobody takes them: the worker is made anew");
    idleSinceMs = performance.now();
    const { worker, connection } = running;
    running = start();
    await worker.close(true).catch(() => {}); // it is the one that does not work
    connection.disconnect();
  }

  const watching = setInterval(() => {
    if (link.state().kind === "up") watch().catch((error: unknown) => log.debug({ err: error }, "watchdog"));
  }, watchdogMs / 4).unref();

  return {
    giveUp() {
      for (const stop of jobs) stop.abort(new TagferryError("LOCK_LOST", "the process is stopping"));
    },
    async close() {
      clearInterval(watching);
      const closed = running.worker.close().catch(() => {}); // Redis is away
      while (jobs.size > 0) await sleep(20);
      await Promise.race([closed, sleep(CLOSING_MS)]);
    },
  };
}

type Held = {
  readonly token: string;
  readonly cancelled: AbortSignal | undefined;
  readonly running: Set<AbortController>;
};

async function turn(
  job: BullJob<Data>,
  { token, cancelled, running }: Held,
  { handle, onBroken, lockMs }: BullWorkersOptions,
): Promise<void> {
  const stop = new AbortController();
  running.add(stop);
  const lost = (): void =>
    stop.abort(new TagferryError("LOCK_LOST", "another worker may have taken the job"));
  cancelled?.addEventListener("abort", lost, { once: true });
  const assertStillOurs = async (): Promise<void> => {
    stop.signal.throwIfAborted();
    // a process that slept finds here that its time is up; one that cannot ask does not know, and must not publish
    const held = await job.extendLock(token, lockMs).catch(() => 0);
    if (held !== 1) lost();
    stop.signal.throwIfAborted();
  };
  try {
    await handle(job.data.job, { signal: stop.signal, attempt: job.data.attempt, assertStillOurs });
  } catch (error) {
    if (cancelled?.aborted) throw error;
    const again =
      error instanceof RetryLater
        ? error
        : stop.signal.aborted
          ? new RetryLater(1, { counts: false })
          : undefined;
    if (!again) {
      onBroken(job.data.job, error);
      throw error;
    }
    if (again.counts) await job.updateData({ ...job.data, attempt: job.data.attempt + 1 });
    await job.moveToDelayed(Date.now() + again.delayMs, token);
    throw new DelayedError();
  } finally {
    running.delete(stop);
    cancelled?.removeEventListener("abort", lost);
  }
}
