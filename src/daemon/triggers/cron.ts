import { createTask, type Logger, schedule as scheduleTask, setLogger, validateDetailed } from "node-cron";

import type { Config, Schedule } from "../../config/config.ts";
import type { UpperProblem } from "../../config/file/load.ts";
import type { Log } from "../../lib/log.ts";

/** Tells when schedules are due. node-cron behind it; tests let another clock stand in. */
export type Cron = {
  now(): Date;
  /** Calls back at every due time, with the nominal time. Disposing ends it. */
  every(schedule: Schedule, onDue: (dueAt: Date) => void): Disposable;
  /** The next due times after now. */
  next(schedule: Schedule, count: number): readonly Date[];
  /** The last due time in `(after, now]`. Looks back a week at most: what is older counts as due now. */
  missed(schedule: Schedule, after: Date): Date | undefined;
};

const LOOK_BACK_MS = 7 * 86_400_000;

export function nodeCron(log: Log): Cron {
  setLogger(loggerOf(log));
  return {
    now: () => new Date(),
    every({ cron, timeZone }, onDue) {
      // what the event loop was too busy for is due all the same: the check's id keeps it from running twice
      const task = scheduleTask(cron, ({ date }) => onDue(date), {
        timezone: timeZone,
        suppressMissedWarning: true,
        unref: true,
      });
      task.on("execution:missed", ({ date }) => onDue(date));
      return { [Symbol.dispose]: () => void task.destroy() };
    },
    next: (schedule, count) => withTask(schedule, (task) => task.getNextRuns(count)),
    missed: (schedule, after) => missedSince(schedule, after, new Date()),
  };
}

/** Minute by minute backwards, second by second where there are six fields. */
export function missedSince(schedule: Schedule, after: Date, now: Date): Date | undefined {
  const stepMs = schedule.cron.trim().split(/\s+/).length > 5 ? 1000 : 60_000;
  const last = Math.floor(now.getTime() / stepMs) * stepMs;
  const earliest = Math.max(after.getTime(), last - (stepMs === 1000 ? LOOK_BACK_MS / 60 : LOOK_BACK_MS));
  const found = withTask(schedule, (task) => {
    for (let at = last; at > earliest; at -= stepMs) if (task.match(new Date(at))) return new Date(at);
    return undefined;
  });
  return found ?? (earliest > after.getTime() ? new Date(last) : undefined);
}

type Task = ReturnType<typeof createTask>;

/** node-cron keeps every task in a list until it is destroyed. */
function withTask<T>({ cron, timeZone }: Schedule, use: (task: Task) => T): T {
  const task = createTask(cron, () => {}, { timezone: timeZone });
  try {
    return use(task);
  } finally {
    void task.destroy();
  }
}

const text = (message: unknown): string => (message instanceof Error ? message.message : String(message));

function loggerOf(log: Log): Logger {
  return {
    info: (message) => log.debug(text(message)),
    debug: (message) => log.debug(text(message)),
    warn: (message) => log.warn(text(message)),
    error: (message, error) => log.error({ err: error }, text(message)),
  };
}

/** What node-cron thinks of the schedules. It joins both day fields with AND, where crontab takes OR. */
export function checkSchedules({ mirrors }: Config): readonly UpperProblem[] {
  return mirrors.flatMap(({ schedule }, position): UpperProblem[] => {
    if (!schedule) return [];
    const path = ["mirrors", position, "schedule"];
    const { valid, errors } = validateDetailed(schedule.cron);
    if (!valid)
      return [
        {
          path,
          code: "CONFIG_CRON",
          message: `"${schedule.cron}" is no schedule: ${errors.map(({ field, message }) => `${field}: ${message}`).join("; ")}`,
          found: schedule.cron,
          allowed: "minute hour day-of-month month day-of-week, such as */30 * * * *",
        },
      ];
    const fields = schedule.cron.trim().split(/\s+/).slice(-5);
    const [, , dayOfMonth, , dayOfWeek] = fields;
    if (fields.length < 5 || isAny(dayOfMonth) || isAny(dayOfWeek)) return [];
    return [
      {
        path,
        warning: true,
        code: "CONFIG_CRON_BOTH_DAYS",
        message: `"${schedule.cron}" fires only when the day of the month and the day of the week are both right`,
        found: schedule.cron,
      },
    ];
  });
}

const isAny = (field: string | undefined): boolean => field === "*" || field === "?";
