import { DelayedError, type Job as BullJob, type Queue as BullQueue, Worker } from "bullmq";
import type { Redis } from "ioredis";

import { failureOf, TagferryError } from "../../errors/error.ts";
import { sleep } from "../../lib/cancel.ts";
import type { Log } from "../../lib/log.ts";
import { REDIS_PREFIX, type RedisLink } from "../redis/connection.ts";
import { type Data, nextKey, readData } from "./bullmq-data.ts";
import type { JobSigner } from "./job-signer.ts";
import { mergeJobs, subjectOf } from "./job.ts";
import { type Handle, RetryLater, type WorkOptions } from "./queue.ts";

export type BullWorkersOptions = Pick<WorkOptions, "onBroken"> & {
  readonly link: RedisLink;
  readonly log: Log;
  readonly lockMs: number;
  readonly watchdogMs: number;
  readonly signer: JobSigner;
  readonly concurrency: () => number;
  readonly handle: Handle;
};

/** The workers of this process on one queue. */
export type BullWorkers = {
  /** Aborts all running jobs and gives them back. */
  giveUp(): void;
  /** Takes no new job and waits for the running ones. Does not wait long for a Redis that is away. */
  close(): Promise<void>;
};

/** `CrashRecords` counts crashes, so BullMQ must always give the job to the next worker. */
const STALLED_MAX = 1_000_000;
/** How long BullMQ may use Redis after all work has ended. */
const CLOSING_MS = 1_000;

export function startBullWorkers(queue: BullQueue<Data>, options: BullWorkersOptions): BullWorkers {
  const { link, log, lockMs, watchdogMs } = options;
  const jobs = new Set<AbortController>();
  let running = start();
  let idleSinceMs = performance.now();

  function start(): { readonly worker: Worker<Data>; readonly connection: Redis } {
    const connection = link.open(`worker-${queue.name}`);
    const worker = new Worker<Data>(
      queue.name,
      (job, token, signal) =>
        turn(job, { queue, token: token ?? "", cancelled: signal, running: jobs }, options),
      {
        connection,
        prefix: REDIS_PREFIX,
        skipVersionCheck: true, // `RedisLink` checks the version
        concurrency: Math.max(1, options.concurrency()),
        lockDuration: lockMs,
        stalledInterval: lockMs,
        maxStalledCount: STALLED_MAX,
        drainDelay: 2,
      },
    );
    worker.on("error", (error) => log.debug({ err: error }, "worker"));
    // BullMQ only reports a lost lock, and the job would continue
    worker.on("lockRenewalFailed", (ids) => {
      for (const id of ids) worker.cancelJob(id, "the lock of the job is gone");
    });
    return { worker, connection };
  }

  /** Replaces a worker that takes no jobs. After a lost connection it may wait forever. */
  async function watch(): Promise<void> {
    running.worker.concurrency = Math.max(1, options.concurrency());
    const counts = await queue.getJobCounts("waiting", "active");
    const isStuck = (counts["waiting"] ?? 0) > 0 && (counts["active"] ?? 0) === 0 && jobs.size === 0;
    if (!isStuck) idleSinceMs = performance.now();
    if (performance.now() - idleSinceMs < watchdogMs) return;
    log.warn({ queue: queue.name, counts }, "jobs wait and nobody takes them: the worker is replaced");
    idleSinceMs = performance.now();
    const { worker, connection } = running;
    running = start();
    await worker.close(true).catch(() => {}); // it is replaced in any case
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
  readonly queue: BullQueue<Data>;
  readonly token: string;
  readonly cancelled: AbortSignal | undefined;
  readonly running: Set<AbortController>;
};

async function turn(
  job: BullJob<Data>,
  { queue, token, cancelled, running }: Held,
  { link, handle, onBroken, lockMs, signer, log }: BullWorkersOptions,
): Promise<void> {
  const data = await readData(job.data, signer).catch((error: unknown) => {
    const { code, message, details } = failureOf(error);
    log.error({ code, queue: queue.name, ...details }, `${message}: it is thrown away`);
    throw error;
  });
  const stop = new AbortController();
  running.add(stop);
  const lost = (): void =>
    stop.abort(new TagferryError("LOCK_LOST", "another worker may have taken the job"));
  cancelled?.addEventListener("abort", lost, { once: true });
  const assertStillOurs = async (): Promise<void> => {
    stop.signal.throwIfAborted();
    // a process that was suspended notices here that it lost its lock; without an answer it must not publish either
    const held = await job.extendLock(token, lockMs).catch(() => 0);
    if (held !== 1) lost();
    stop.signal.throwIfAborted();
  };
  try {
    await handle(data.job, { signal: stop.signal, attempt: data.attempt, assertStillOurs });
  } catch (error) {
    if (cancelled?.aborted) throw error;
    const again =
      error instanceof RetryLater
        ? error
        : stop.signal.aborted
          ? new RetryLater(1, { counts: false })
          : undefined;
    if (!again) {
      onBroken(data.job, error);
      throw error;
    }
    const { delayMs, ...renewed } = await giveBack(data, again, { queue, link, signer });
    if (renewed.attempt !== data.attempt || renewed.job !== data.job)
      await job.updateData({ ...renewed, signature: await signer.sign(renewed.job) });
    await job.moveToDelayed(Date.now() + delayMs, token);
    throw new DelayedError();
  } finally {
    running.delete(stop);
    cancelled?.removeEventListener("abort", lost);
  }
}

const TAKE_NEXT = `
local data = redis.call("hget", KEYS[1], "data")
redis.call("del", KEYS[1])
return data`;

/** A job that has to be tried again gives way to a later plan of the same tag. A check keeps its run. */
async function giveBack(
  data: Data,
  again: RetryLater,
  { queue, link, signer }: Pick<BullWorkersOptions, "link" | "signer"> & Pick<Held, "queue">,
): Promise<Pick<Data, "job" | "attempt"> & { readonly delayMs: number }> {
  const attempt = again.counts ? data.attempt + 1 : data.attempt;
  const id = Buffer.from(subjectOf(data.job)).toString("base64url");
  const text: unknown = await link.client.eval(TAKE_NEXT, 1, nextKey(queue, id));
  const next = text === null ? undefined : await readData(text, signer).catch(() => undefined); // not ours
  if (!next) return { job: data.job, attempt, delayMs: again.delayMs };
  const job = mergeJobs(data.job, next.job);
  if (job === next.job) return { job, attempt: 0, delayMs: 1 };
  return { job, attempt, delayMs: again.delayMs };
}
