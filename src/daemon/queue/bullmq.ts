import { type Job as BullJob, Queue as BullQueue } from "bullmq";

import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { REDIS_PREFIX, type RedisLink, withRedis } from "../redis/connection.ts";
import { type Data, startBullWorkers } from "./bullmq-workers.ts";
import { type Job, subjectOf } from "./job.ts";
import type { Counts, Queue, Workers } from "./queue.ts";

export type BullOptions = {
  readonly log: Log;
  /** How long a job is a worker's without a sign of life. */
  readonly lockMs?: number;
  /** A worker that takes nothing for so long although something waits is made anew. */
  readonly watchdogMs?: number;
};

type Kind = Job["kind"];

const KINDS: readonly Kind[] = ["check", "apply"];
const DEFAULT_LOCK_MS = 30_000;
const DEFAULT_WATCHDOG_MS = 120_000;
/** Due times that were checked are remembered so long, for replicas whose clocks are late. */
const CHECKED = { age: 3_600, count: 5_000 };

/** The queue of several processes, on Redis. */
export function bullQueue(
  link: RedisLink,
  { log, lockMs = DEFAULT_LOCK_MS, watchdogMs = DEFAULT_WATCHDOG_MS }: BullOptions,
): Queue {
  const queues = new Map(
    KINDS.map((kind) => {
      const queue = new BullQueue<Data>(kind, {
        connection: link.client,
        prefix: REDIS_PREFIX,
        skipVersionCheck: true, // `RedisLink` judges it
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

  /** BullMQ waits for its first connection as long as it takes; who asks us is told at once. */
  const whenConnected = <T>(task: () => Promise<T>): Promise<T> =>
    withRedis(async () => {
      const { status } = link.client;
      if (status !== "ready") throw new TagferryError("QUEUE_AWAY", `redis is not connected: ${status}`);
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

  return {
    add: (job, { delayMs = 0 } = {}) =>
      whenConnected(() => (job.kind === "check" ? addCheck(job, delayMs) : addApply(job, delayMs))),
    work(handle, options): Workers {
      const widths = { check: options.checks, apply: options.applies };
      const workers = KINDS.filter((kind) => widths[kind] > 0).map((kind) =>
        startBullWorkers(queueOf(kind), {
          link,
          log,
          lockMs,
          watchdogMs,
          concurrency: widths[kind],
          handle,
          ...options,
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
