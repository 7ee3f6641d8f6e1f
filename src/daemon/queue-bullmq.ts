import { DelayedError, type Job as BullJob, Queue as BullQueue, Worker } from "bullmq";

import { SyncError } from "../lib/error.ts";
import type { Log } from "../lib/log.ts";
import { type Job, subjectOf } from "./job.ts";
import { type Counts, type Handle, Later, type Queue, type Workers, type WorkOptions } from "./queue.ts";
import { REDIS_PREFIX, type RedisLink, withRedis } from "./redis.ts";

export type BullOptions = {
  readonly log: Log;
  /** How long a job is a worker's without a sign of life. */
  readonly lockMs?: number;
};

type Kind = Job["kind"];
/** `attempt`: how often it was begun and given back. */
type Data = { readonly job: Job; readonly attempt: number };

const KINDS: readonly Kind[] = ["check", "apply"];
const DEFAULT_LOCK_MS = 30_000;
/** Due times that were checked are remembered so long, for replicas whose clocks are late. */
const CHECKED = { age: 3_600, count: 5_000 };
/** Workers that die are counted by ourselves: BullMQ shall always hand the job on. */
const STALLED_MAX = 1_000_000;

/** The queue of several processes, on Redis. */
export function bullQueue(link: RedisLink, { log, lockMs = DEFAULT_LOCK_MS }: BullOptions): Queue {
  const queues = new Map(
    KINDS.map((kind) => {
      const queue = new BullQueue<Data>(kind, { connection: link.client, prefix: REDIS_PREFIX });
      queue.on("error", (error) => log.debug({ err: error }, "queue"));
      return [kind, queue] as const;
    }),
  );
  const queueOf = (kind: Kind): BullQueue<Data> => {
    const queue = queues.get(kind);
    if (!queue) throw new TypeError(`no queue for ${kind}`);
    return queue;
  };

  /** BullMQ waits for its first connection as long as it takes; who asks us is told at once. */
  const whenConnected = <T>(task: () => Promise<T>): Promise<T> =>
    withRedis(async () => {
      const { status } = link.client;
      if (status !== "ready") throw new SyncError("QUEUE_AWAY", `redis is not connected: ${status}`);
      return task();
    });

  async function addCheck(job: Job, delay: number): Promise<"queued" | "duplicate"> {
    const queue = queueOf("check");
    // neither colons nor bare numbers may stand in an id
    const jobId = Buffer.from(subjectOf(job)).toString("base64url");
    if (await queue.getJob(jobId)) return "duplicate";
    await queue.add(
      "check",
      { job, attempt: 0 },
      { jobId, delay, removeOnComplete: CHECKED, removeOnFail: CHECKED },
    );
    return "queued";
  }

  async function addApply(job: Job, delay: number): Promise<"queued" | "duplicate"> {
    const queue = queueOf("apply");
    const id = Buffer.from(subjectOf(job)).toString("base64url");
    const data: Data = { job, attempt: 0 };
    const before = await queue.getDeduplicationJobId(id);
    const known = before === null ? undefined : await queue.getJob(before);
    // a key whose job is gone would keep the tag for ever
    if (before !== null && !known) await queue.removeDeduplicationKey(id);
    if (known && (await isWaiting(known))) {
      await known.updateData(data);
      return "duplicate";
    }
    await queue.add("apply", data, {
      delay,
      deduplication: { id, keepLastIfActive: true },
      removeOnComplete: true,
      removeOnFail: true,
    });
    return "queued";
  }

  function startWorker(
    kind: Kind,
    concurrency: number,
    handle: Handle,
    options: WorkOptions,
  ): { readonly worker: Worker<Data>; readonly running: Set<AbortController> } {
    const running = new Set<AbortController>();
    const worker = new Worker<Data>(
      kind,
      (job, token, signal) => turn(job, token ?? "", signal, running, handle, options),
      {
        connection: link.open(`worker-${kind}`),
        prefix: REDIS_PREFIX,
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
    return { worker, running };
  }

  async function turn(
    job: BullJob<Data>,
    token: string,
    cancelled: AbortSignal | undefined,
    running: Set<AbortController>,
    handle: Handle,
    { onBroken }: WorkOptions,
  ): Promise<void> {
    const stop = new AbortController();
    running.add(stop);
    const lost = (): void => stop.abort(new SyncError("LOCK_LOST", "another worker may have taken the job"));
    cancelled?.addEventListener("abort", lost, { once: true });
    const hold = async (): Promise<void> => {
      stop.signal.throwIfAborted();
      // a process that slept finds here that its time is up; one that cannot ask does not know, and must not publish
      const held = await job.extendLock(token, lockMs).catch(() => 0);
      if (held !== 1) lost();
      stop.signal.throwIfAborted();
    };
    try {
      await handle(job.data.job, { signal: stop.signal, attempt: job.data.attempt, hold });
    } catch (error) {
      if (cancelled?.aborted) throw error;
      const again =
        error instanceof Later ? error : stop.signal.aborted ? new Later(1, { counts: false }) : undefined;
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

  return {
    add: (job, { delayMs = 0 } = {}) =>
      whenConnected(() => (job.kind === "check" ? addCheck(job, delayMs) : addApply(job, delayMs))),
    work(handle, options): Workers {
      const widths = { check: options.checks, apply: options.applies };
      const crews = KINDS.filter((kind) => widths[kind] > 0).map((kind) =>
        startWorker(kind, widths[kind], handle, options),
      );
      return {
        async close({ signal }) {
          const giveUp = (): void => {
            for (const { running } of crews)
              for (const stop of running) stop.abort(new SyncError("LOCK_LOST", "the process is stopping"));
          };
          if (signal.aborted) giveUp();
          signal.addEventListener("abort", giveUp, { once: true });
          // close() waits for Redis, which may be away: who waits for us has a deadline of his own
          await Promise.all(crews.map(({ worker }) => worker.close().catch(() => {})));
          signal.removeEventListener("abort", giveUp);
        },
      };
    },
    counts: () =>
      whenConnected(async () => {
        const all = await Promise.all(
          KINDS.map((kind) => queueOf(kind).getJobCounts("waiting", "active", "delayed", "prioritized")),
        );
        const sum = (state: string): number => all.reduce((total, counts) => total + (counts[state] ?? 0), 0);
        return {
          waiting: sum("waiting") + sum("prioritized"),
          active: sum("active"),
          delayed: sum("delayed"),
        } satisfies Counts;
      }),
    drop: (mirror) =>
      whenConnected(async () => {
        let dropped = 0;
        for (const kind of KINDS)
          for (const job of await queueOf(kind).getJobs(["waiting", "delayed"]))
            if (job?.data.job.mirror === mirror) {
              await job.remove().catch(() => {}); // it began meanwhile
              dropped += 1;
            }
        return dropped;
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all([...queues.values()].map((queue) => queue.close().catch(() => {})));
    },
  };
}

async function isWaiting(job: BullJob<Data>): Promise<boolean> {
  return ["waiting", "delayed", "prioritized"].includes(await job.getState());
}
