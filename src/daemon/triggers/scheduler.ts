import { createHash } from "node:crypto";

import type { Mirror, Schedule } from "../../config/config.ts";
import { isTagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { type Cause, type CheckJob, runId } from "../queue/job.ts";
import type { Queue } from "../queue/queue.ts";
import type { Records } from "../records/records.ts";
import type { Clock } from "./clock.ts";
import { openDueTimes } from "./due-times.ts";
import { openTimetable } from "./timetable.ts";

export type ScheduleParts = {
  readonly clock: Clock;
  readonly queue: Queue;
  readonly records: Records;
  readonly log: Log;
  /** The queue is lost with its process: work that was interrupted by a restart is due again. */
  readonly forgetful: boolean;
  /** Called for a due time that passed while no daemon ran. */
  readonly onMissed: (mirror: string) => void;
};

/** Makes a mirror due now. */
export type CheckRequest = (
  mirror: string,
  cause: Cause,
  options?: CheckRequestOptions,
) => Promise<"queued" | "duplicate">;

/** Queues a check for each mirror that is due. All replicas do this, and the queue accepts each due time once. */
export type Scheduler = Disposable & {
  /** From now on follows these mirrors. Schedules that did not change continue. */
  follow(mirrors: readonly Mirror[]): void;
  readonly requestCheck: CheckRequest;
  next(mirror: Mirror, count: number): readonly Date[];
};

export type CheckRequestOptions = {
  /** ISO: when the source moved, as it says. */
  readonly movedAt?: string | undefined;
  /** The id of the reason. Several requests with one id, in any replica, cause one check. Default: this time. */
  readonly occasion?: string;
  readonly delayMs?: number;
};

const AGAIN_MS = 5_000;

export function openScheduler({ clock, queue, records, log, forgetful, onMissed }: ScheduleParts): Scheduler {
  /** Jobs that could not be queued because Redis was away: the last one of each mirror. */
  const unsent = new Map<string, CheckJob>();

  async function send(job: CheckJob, delayMs: number): Promise<"queued" | "duplicate"> {
    try {
      const answer = await queue.add(job, { delayMs });
      await records.mirrors.due(job.mirror, new Date(job.dueAt));
      if (unsent.get(job.mirror)?.run === job.run) unsent.delete(job.mirror);
      return answer;
    } catch (error) {
      if (isTagferryError(error, "QUEUE_AWAY")) unsent.set(job.mirror, job);
      throw error;
    }
  }

  const sending = setInterval(() => {
    for (const job of unsent.values()) send(job, 0).catch(() => {}); // it stays unsent
  }, AGAIN_MS).unref();

  function due({ name, schedule }: Scheduled, dueAt: Date, cause: Cause, epoch = ""): void {
    const job = checkJob(name, dueAt, cause, epoch);
    log.debug({ mirror: name, dueAt: job.dueAt, cause }, `${name} is due`);
    send(job, jitterOf(name, dueAt, schedule)).catch((error: unknown) =>
      log.error({ err: error, mirror: name }, `${name} is due, but the queue does not accept the job`),
    );
  }

  /** One check for all due times that passed while no daemon ran. A mirror that was never checked is due at once. */
  async function catchUp(mirror: Scheduled): Promise<void> {
    const now = clock.now();
    const { lastDueAt, lastRunAt } = await records.mirrors.read(mirror.name);
    if (lastDueAt === undefined) return due(mirror, floorToMinute(now), "first");
    if (forgetful && (lastRunAt === undefined || lastRunAt < lastDueAt))
      return due(mirror, new Date(Math.min(Date.parse(lastDueAt), now.getTime())), "missed");
    const missed = openDueTimes(mirror.schedule).latest(new Date(lastDueAt), now);
    if (!missed) return;
    onMissed(mirror.name);
    due(mirror, missed, "missed");
  }

  const timetable = openTimetable<Scheduled>({
    clock,
    log,
    onDue({ item, dueAt, missed, epoch }) {
      if (missed) onMissed(item.name);
      due(item, dueAt, missed ? "missed" : "schedule", epoch);
    },
  });

  return {
    follow(mirrors) {
      const scheduled = mirrors.flatMap(({ name, schedule }) => (schedule ? [{ name, schedule }] : []));
      for (const added of timetable.follow(scheduled))
        catchUp(added).catch((error: unknown) =>
          log.warn({ err: error, mirror: added.name }, `whether ${added.name} missed a check is not known`),
        );
    },
    requestCheck(mirror, cause, { movedAt, occasion, delayMs = 0 } = {}) {
      const job = checkJob(mirror, clock.now(), cause);
      const run = occasion === undefined ? job.run : `${mirror}@${occasion}`;
      return send({ ...job, run, ...(movedAt === undefined ? {} : { movedAt }) }, delayMs);
    },
    next: ({ schedule }, count) => (schedule ? nextOf(schedule, count, clock.now()) : []),
    [Symbol.dispose]() {
      clearInterval(sending);
      timetable[Symbol.dispose]();
    },
  };
}

type Scheduled = { readonly name: string; readonly schedule: Schedule };

function nextOf(schedule: Schedule, count: number, after: Date): readonly Date[] {
  const times = openDueTimes(schedule);
  const found: Date[] = [];
  for (let at = times.next(after); at && found.length < count; at = times.next(at)) found.push(at);
  return found;
}

function checkJob(mirror: string, dueAt: Date, cause: Cause, epoch = ""): CheckJob {
  const run = `${runId(mirror, dueAt)}${epoch}`;
  return { kind: "check", mirror, run, dueAt: dueAt.toISOString(), cause };
}

function floorToMinute(at: Date): Date {
  return new Date(Math.floor(at.getTime() / 60_000) * 60_000);
}

/** It depends only on the mirror and the due time, so it is the same in all replicas. */
function jitterOf(mirror: string, dueAt: Date, { jitterMs }: Schedule): number {
  if (jitterMs === 0) return 0;
  const hash = createHash("sha256").update(runId(mirror, dueAt)).digest();
  return Math.floor((hash.readUInt32BE(0) / 2 ** 32) * jitterMs);
}
