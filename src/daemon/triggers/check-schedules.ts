import { validateDetailed } from "node-cron";

import type { Config } from "../../config/config.ts";
import type { UpperProblem } from "../../config/file/load.ts";

/** Validates all schedules with node-cron, which joins the two day fields with AND. crontab joins them with OR. */
export function checkSchedules({ mirrors }: Config): readonly UpperProblem[] {
  return mirrors.flatMap(({ schedule }, position): UpperProblem[] => {
    if (!schedule) return [];
    const path = ["mirrors", position, "schedule"];
    const { valid, errors } = validateDetailed(schedule.cron);
    const reasons = errors.map(({ field, message }) => reasonOf(field, message));
    if (!valid)
      return [
        {
          path,
          code: "CONFIG_CRON",
          message: `"${schedule.cron}" is not a schedule: ${reasons.join("; ")}`,
          found: schedule.cron,
          allowed: "minute hour day-of-month month day-of-week, such as */30 * * * *",
          ...adviceOn(schedule.cron, errors),
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
        message: `"${schedule.cron}" fires only when both the day of the month and the day of the week match`,
        found: schedule.cron,
      },
    ];
  });
}

const isAny = (field: string | undefined): boolean => field === "*" || field === "?";

const IN_WORDS: Readonly<Record<string, string>> = {
  hourly: "0 * * * *",
  daily: "0 3 * * *",
  nightly: "0 3 * * *",
  weekly: "0 3 * * 0",
  monthly: "0 3 1 * *",
};

const RANGES: Readonly<Record<string, string>> = {
  second: "a second from 0 to 59",
  minute: "a minute from 0 to 59",
  hour: "an hour from 0 to 23",
  dayOfMonth: "a day from 1 to 31 that the month has",
  month: "a month from 1 to 12",
  dayOfWeek: "a day of the week from 0 (Sunday) to 6",
};

function adviceOn(cron: string, errors: readonly { readonly field: string }[]): { readonly next?: string } {
  const fields = IN_WORDS[cron.trim().toLowerCase().replace(/^@/, "")];
  if (fields !== undefined) return { next: `Write the five fields: "${fields}".` };
  const range = RANGES[errors[0]?.field ?? ""];
  return range === undefined ? {} : { next: `Write ${range}.` };
}

/** The parser's reason in our words. */
function reasonOf(field: string, message: string): string {
  const fields = /but got (\d+)/.exec(message)?.[1];
  if (fields !== undefined) return `it has ${fields} of five fields`;
  const value = /^(\S+) is an? invalid expression/.exec(message)?.[1];
  if (value !== undefined) return `${value} is not a value of the field ${field}`;
  if (message.includes("impossible day of month")) return "the month does not have this day";
  return `${field}: ${message}`;
}
