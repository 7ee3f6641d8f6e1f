import { createHash } from "node:crypto";

import type { Mirror, Schedule } from "../../config/config.ts";
import { isTagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { type Cause, type CheckJob, runId } from "../queue/job.ts";
import type { Queue } from "../queue/queue.ts";
import type { Records } from "../records/records.ts";
import type { Cron } from "./cron.ts";

export type ScheduleParts = {
  readonly cron: Cron;
  readonly queue: Queue;
  readonly records: Records;
  readonly log: Log;
  /** The queue begins empty with its process: what was under way when the one before ended is due again. */
  readonly forgetful: boolean;
  /** A due time that came while nothing ran. */
  readonly onMissed: (mirror: string) => void;
};

/** Tells the queue which mirrors are due. Every replica may tell: the queue takes each due time once. */
export type Scheduler = Disposable & {
  /** Follows these mirrors from now on; those that were there before go on as they are. */
  follow(mirrors: readonly Mirror[]): void;
  /** Makes a mirror due now. */
  requestCheck(mirror: string, cause: Cause, options?: CheckRequestOptions): Promise<"queued" | "duplicate">;
  next(mirror: Mirror, count: number): readonly Date[];
};

export type CheckRequestOptions = {
  /** ISO: when the source says that it moved. */
  readonly movedAt?: string | undefined;
  /** What made it due. Demanded twice, by whichever replica, it is checked once. Default: this very moment. */
  readonly occasion?: string;
};

const AGAIN_MS = 5_000;

export function openScheduler({ cron, queue, records, log, forgetful, onMissed }: ScheduleParts): Scheduler {
  const followed = new Map<string, { readonly key: string; readonly task: Disposable }>();
  /** What the queue could not take: Redis was away. */
  const unsent = new Map<string, { readonly job: CheckJob; readonly delayMs: number }>();

  async function send(job: CheckJob, delayMs: number): Promise<"queued" | "duplicate"> {
    try {
      const answer = await queue.add(job, { delayMs });
      await records.mirrors.due(job.mirror, new Date(job.dueAt));
      unsent.delete(job.run);
      return answer;
    } catch (error) {
      if (!isTagferryError(error, "QUEUE_AWAY")) throw error;
      unsent.set(job.run, { job, delayMs });
      throw error;
    }
  }

  const sending = setInterval(() => {
    for (const { job } of unsent.values()) send(job, 0).catch(() => {}); // it stays unsent
  }, AGAIN_MS).unref();

  function due(mirror: Mirror, schedule: Schedule, dueAt: Date, cause: Cause): void {
    const job = checkJob(mirror.name, dueAt, cause);
    log.debug({ mirror: mirror.name, dueAt: job.dueAt, cause }, `${mirror.name} is due`);
    send(job, jitterOf(mirror.name, dueAt, schedule)).catch((error: unknown) =>
      log.error({ err: error, mirror: mirror.name }, `${mirror.name} is due, and the queue does not take it`),
    );
  }

  /** Once, however many due times passed while nobody looked. A mirror nobody ever checked is due at once. */
  async function catchUp(mirror: Mirror, schedule: Schedule): Promise<void> {
    const { lastDueAt, lastRunAt } = await records.mirrors.read(mirror.name);
    if (lastDueAt === undefined) return due(mirror, schedule, floorToMinute(cron.now()), "missed");
    if (forgetful && (lastRunAt === undefined || lastRunAt < lastDueAt))
      return due(mirror, schedule, new Date(lastDueAt), "missed");
    const missed = cron.missed(schedule, new Date(lastDueAt));
    if (!missed) return;
    onMissed(mirror.name);
    due(mirror, schedule, missed, "missed");
  }

  return {
    follow(mirrors) {
      const wanted = new Map(mirrors.flatMap((mirror) => (mirror.schedule ? [[mirror.name, mirror]] : [])));
      for (const [name, { task }] of followed)
        if (keyOf(wanted.get(name)) !== followed.get(name)?.key) {
          task[Symbol.dispose]();
          followed.delete(name);
        }
      for (const [name, mirror] of wanted) {
        const { schedule } = mirror;
        if (!schedule || followed.has(name)) continue;
        const task = cron.every(schedule, (dueAt) => due(mirror, schedule, dueAt, "schedule"));
        followed.set(name, { key: keyOf(mirror), task });
        catchUp(mirror, schedule).catch((error: unknown) =>
          log.warn({ err: error, mirror: name }, `whether ${name} missed a check cannot be told`),
        );
      }
    },
    requestCheck(mirror, cause, { movedAt, occasion } = {}) {
      const job = checkJob(mirror, cron.now(), cause);
      const run = occasion === undefined ? job.run : `${mirror}@${occasion}`;
      return send({ ...job, run, ...(movedAt === undefined ? {} : { movedAt }) }, 0);
    },
    next: ({ schedule }, count) => (schedule ? cron.next(schedule, count) : []),
    [Symbol.dispose]() {
      clearInterval(sending);
      for (const { task } of followed.values()) task[Symbol.dispose]();
      followed.clear();
    },
  };
}

function checkJob(mirror: string, dueAt: Date, cause: Cause): CheckJob {
  return { kind: "check", mirror, run: runId(mirror, dueAt), dueAt: dueAt.toISOString(), cause };
}

const keyOf = (mirror: Mirror | undefined): string => JSON.stringify(mirror?.schedule ?? "none");

function floorToMinute(at: Date): Date {
  return new Date(Math.floor(at.getTime() / 60_000) * 60_000);
}

/** The same in every replica, another for every mirror and due time. */
function jitterOf(mirror: string, dueAt: Date, { jitterMs }: Schedule): number {
  if (jitterMs === 0) return 0;
  const hash = createHash("sha256").update(runId(mirror, dueAt)).digest();
  return Math.floor((hash.readUInt32BE(0) / 2 ** 32) * jitterMs);
}
