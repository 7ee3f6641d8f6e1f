import { type Job as BullJob, Queue as BullQueue } from "bullmq";

import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { REDIS_PREFIX, type RedisLink, withRedis } from "../redis/connection.ts";
import { type Data, nextKey, readData } from "./bullmq-data.ts";
import { startBullWorkers } from "./bullmq-workers.ts";
import { type JobSigner, UNSIGNED } from "./job-signer.ts";
import { type Job, mergeJobs, subjectOf } from "./job.ts";
import type { Counts, Queue, Workers } from "./queue.ts";

export type BullOptions = {
  readonly log: Log;
  /** A worker that does not renew the lock of its job for this long loses the job. */
  readonly lockMs?: number;
  /** A worker that takes nothing for this long although jobs wait is replaced. */
  readonly watchdogMs?: number;
  readonly signer?: JobSigner;
};

type Kind = Job["kind"];

const KINDS: readonly Kind[] = ["check", "apply"];
/** BullMQ sorts delayed jobs by their start (Unix ms) times this. */
const SCORES_PER_MS = 0x1000;
const DEFAULT_LOCK_MS = 30_000;
const DEFAULT_WATCHDOG_MS = 120_000;
/** How long runs are remembered (seconds), because the clocks of replicas differ. */
const CHECKED = { age: 3_600, count: 5_000 };

/** The queue of several processes, on Redis. */
export function bullQueue(
  link: RedisLink,
  { log, lockMs = DEFAULT_LOCK_MS, watchdogMs = DEFAULT_WATCHDOG_MS, signer = UNSIGNED }: BullOptions,
): Queue {
  const queues = new Map(
    KINDS.map((kind) => {
      const queue = new BullQueue<Data>(kind, {
        connection: link.client,
        prefix: REDIS_PREFIX,
        skipVersionCheck: true, // `RedisLink` checks the version
      });
      queue.on("error", (error) => log.debug({ err: error }, "queue"));
      return [kind, queue] as const;
    }),
  );
  const queueOf = (kind: Kind): BullQueue<Data> => {
    const queue = queues.get(kind);
    if (!queue) throw new TypeError(`no queue for ${kind}`);
    return queue;
  };

  /** BullMQ would wait for its first connection without limit. This fails at once. */
  const whenConnected = <T>(task: () => Promise<T>): Promise<T> =>
    withRedis(async () => {
      const { status } = link.client;
      if (status !== "ready") throw new TagferryError("QUEUE_AWAY", `redis is not connected: ${status}`);
      return task();
    });

  const sealed = async (job: Job, attempt: number): Promise<Data> => ({
    job,
    attempt,
    signature: await signer.sign(job),
  });

  async function add(job: Job, delay: number): Promise<"queued" | "duplicate"> {
    const queue = queueOf(job.kind);
    const isCheck = job.kind === "check";
    const jobId = isCheck ? idOf(job.run) : undefined;
    if (jobId !== undefined && (await queue.getJob(jobId))) return "duplicate";
    const id = idOf(subjectOf(job));
    const before = await queue.getDeduplicationJobId(id);
    const known = before === null ? undefined : await queue.getJob(before);
    // a key without a job would block the subject forever
    if (before !== null && !known) await queue.removeDeduplicationKey(id);
    if (known && (await joins(queue, known, job, delay))) return "duplicate";
    if (known && (await isKnownLater(queue, id, job))) return "duplicate";
    await queue.add(job.kind, await sealed(job, 0), {
      delay,
      deduplication: { id, keepLastIfActive: true },
      removeOnComplete: isCheck ? CHECKED : true,
      removeOnFail: isCheck ? CHECKED : true,
      ...(jobId === undefined ? {} : { jobId }),
    });
    return "queued";
  }

  /** Merges the job into the one that waits. False if no job waits (any more). */
  async function joins(
    queue: BullQueue<Data>,
    known: BullJob<Data>,
    job: Job,
    delay: number,
  ): Promise<boolean> {
    if (!(await isWaiting(known))) return false;
    const waiting = await readData(known.data, signer).catch(() => undefined); // not ours: replaced
    const merged = waiting ? mergeJobs(waiting.job, job) : job;
    await known.updateData(await sealed(merged, waiting?.attempt ?? 0));
    // it starts with the new data, perhaps at once
    if ((await known.getState()) === "delayed" && (await hasten(queue, known, delay))) return true;
    return isWaiting(known); // if it has started meanwhile, it may have read the old data
  }

  /**
   * Lets a delayed job start no later than one that is added now. Its time comes from the clock of the process that delayed it: a
   * clock that was ahead and was put back would leave it waiting for as long. True if it was moved.
   */
  async function hasten(queue: BullQueue<Data>, known: BullJob<Data>, delay: number): Promise<boolean> {
    const score = Number(await link.client.zscore(queue.toKey("delayed"), known.id ?? ""));
    const startsInMs = Math.floor(score / SCORES_PER_MS) - Date.now();
    // overdue: the workers' clocks are behind ours
    if (delay === 0 || startsInMs <= 0) return succeeds(known.promote());
    return startsInMs > delay && (await succeeds(known.changeDelay(delay)));
  }

  /** Whether a later plan already waits for the active job to end. */
  async function isKnownLater(queue: BullQueue<Data>, id: string, job: Job): Promise<boolean> {
    const text = await link.client.hget(nextKey(queue, id), "data");
    if (text === null || job.kind === "check") return false;
    const next = await readData(text, signer).catch(() => undefined); // not ours: replaced
    return next !== undefined && mergeJobs(next.job, job) === next.job;
  }

  return {
    add: (job, { delayMs = 0 } = {}) => whenConnected(() => add(job, delayMs)),
    work(handle, options): Workers {
      const widths = { check: options.checks, apply: () => options.applies };
      const workers = KINDS.filter((kind) => widths[kind]() > 0).map((kind) =>
        startBullWorkers(queueOf(kind), {
          link,
          log,
          lockMs,
          watchdogMs,
          signer,
          concurrency: widths[kind],
          handle,
          onBroken: options.onBroken,
        }),
      );
      return {
        async close({ signal }) {
          const giveUp = (): void => {
            for (const one of workers) one.giveUp();
          };
          if (signal.aborted) giveUp();
          signal.addEventListener("abort", giveUp, { once: true });
          await Promise.all(workers.map((one) => one.close()));
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
          for (const job of await queueOf(kind).getJobs(["waiting", "delayed"])) {
            const data = job && (await readData(job.data, signer).catch(() => undefined)); // not ours
            if (data?.job.mirror !== mirror) continue;
            await job?.remove().catch(() => {}); // it has started meanwhile
            dropped += 1;
          }
        return dropped;
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all([...queues.values()].map((queue) => queue.close().catch(() => {})));
    },
  };
}

/** An id of BullMQ must not contain colons, and must not be a number. */
const idOf = (text: string): string => Buffer.from(text).toString("base64url");

async function isWaiting(job: BullJob<Data>): Promise<boolean> {
  return ["waiting", "delayed", "prioritized"].includes(await job.getState());
}

async function succeeds(task: Promise<unknown>): Promise<boolean> {
  return task.then(
    () => true,
    () => false,
  );
}
