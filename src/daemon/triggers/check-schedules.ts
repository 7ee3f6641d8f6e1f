import { validateDetailed } from "node-cron";

import type { Config } from "../../config/config.ts";
import type { UpperProblem } from "../../config/file/load.ts";

/** Validates all schedules with node-cron, which joins the two day fields with AND. crontab joins them with OR. */
export function checkSchedules({ mirrors }: Config): readonly UpperProblem[] {
  return mirrors.flatMap(({ schedule }, position): UpperProblem[] => {
    if (!schedule) return [];
    const path = ["mirrors", position, "schedule"];
    const { valid, errors } = validateDetailed(schedule.cron);
    const reasons = errors.map(({ field, message }) => `${field}: ${message}`);
    if (!valid)
      return [
        {
          path,
          code: "CONFIG_CRON",
          message: `"${schedule.cron}" is not a schedule: ${reasons.join("; ")}`,
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
        message: `"${schedule.cron}" fires only when both the day of the month and the day of the week match`,
        found: schedule.cron,
      },
    ];
  });
}

const isAny = (field: string | undefined): boolean => field === "*" || field === "?";
