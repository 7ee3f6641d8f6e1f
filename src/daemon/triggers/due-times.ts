import { createTask, parse } from "node-cron";

import type { Schedule } from "../../config/config.ts";
import { type LocalTime, type Zone, zoneOf } from "./zone.ts";

/**
 * When a schedule is due. node-cron parses the expression and says which days match; the times of a day are ours, because its
 * own timers and its walk do not survive jumps of the clock and the hours that summer time repeats.
 *
 * A time that the clocks skip in spring is due once, when they have been put forward. A time that they repeat in autumn is due
 * once, at its first occurrence; but where every hour matches, the schedule goes on through both hours.
 */
export type DueTimes = {
  /** The first due time after `after`; undefined when there is none in the next eight years. */
  next(after: Date): Date | undefined;
  /** The last due time in `(after, now]`. Costs little however far apart the two are. */
  latest(after: Date, now: Date): Date | undefined;
};

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** From one 29 February to the next, across a year that is no leap year although four divides it. */
const HORIZON_MS = 8 * 366 * DAY_MS;

type Times = {
  readonly zone: Zone;
  readonly isDay: (local: LocalTime) => boolean;
  readonly hours: ReadonlySet<number>;
  readonly minutes: ReadonlySet<number>;
  readonly seconds: readonly number[];
};

export function openDueTimes(schedule: Schedule): DueTimes {
  const times = timesOf(schedule);
  const next = (after: Date): Date | undefined => nextAfter(times, after.getTime());
  return {
    next,
    latest(after, now) {
      for (let spanMs = 1_000; ; spanMs *= 2) {
        const from = Math.max(after.getTime(), now.getTime() - spanMs);
        let found = nextAfter(times, from);
        if (!found || found > now) {
          if (from <= after.getTime()) return undefined;
          continue;
        }
        for (let later = next(found); later && later <= now; later = next(found)) found = later;
        return found;
      }
    },
  };
}

function timesOf({ cron, timeZone }: Schedule): Times {
  const { second, minute, hour } = parse(cron);
  return {
    zone: zoneOf(timeZone),
    isDay: dayMatcher(cron),
    hours: new Set(hour),
    minutes: new Set(minute),
    seconds: second.toSorted((one, other) => one - other),
  };
}

/** Asks node-cron about noon of the day, in UTC; answers are kept for the days around. */
function dayMatcher(cron: string): Times["isDay"] {
  const dayFields = cron.trim().split(/\s+/).slice(-3);
  const task = createTask(`0 0 12 ${dayFields.join(" ")}`, () => {}, { timezone: "UTC" });
  void task.destroy(); // node-cron lists every task until then; `match` needs no running task
  const known = new Map<number, boolean>();
  return ({ day }) => {
    const kept = known.get(day);
    if (kept !== undefined) return kept;
    if (known.size > 400) known.clear();
    const matches = task.match(new Date(day * DAY_MS + DAY_MS / 2));
    known.set(day, matches);
    return matches;
  };
}

/** Walks from field to field: by days while the day does not match, then by hours, minutes, seconds. */
function nextAfter(times: Times, afterMs: number): Date | undefined {
  const { zone } = times;
  let atMs = Math.floor(afterMs / 1_000) * 1_000 + 1_000;
  const endMs = atMs + HORIZON_MS;
  while (atMs < endMs) {
    const local = zone.local(atMs);
    const skippedAt = skippedTime(times, atMs, local);
    if (skippedAt) return new Date(atMs);
    const step = stepOf(times, atMs, local);
    if (step === 0) return new Date(atMs);
    atMs = zone.step(atMs, step);
  }
  return undefined;
}

/** Ms to the next moment that may match; 0 when this one does. */
function stepOf(times: Times, atMs: number, local: LocalTime): number {
  const { hour, minute, second } = local;
  const intoHourMs = (minute * 60 + second) * 1_000;
  if (!times.isDay(local)) return DAY_MS - hour * HOUR_MS - intoHourMs;
  if (!times.hours.has(hour) || isRepeated(times, atMs)) return HOUR_MS - intoHourMs;
  if (!times.minutes.has(minute)) return 60_000 - second * 1_000;
  const due = times.seconds.find((one) => one >= second);
  return due === undefined ? 60_000 - second * 1_000 : (due - second) * 1_000;
}

const isEveryHour = ({ hours }: Times): boolean => hours.size === 24;

/** The clocks were put back, and this local time was there before. */
function isRepeated(times: Times, atMs: number): boolean {
  return !isEveryHour(times) && times.zone.isSecond(atMs);
}

/** The clocks were put forward to this moment, over a due time. */
function skippedTime(times: Times, atMs: number, local: LocalTime): boolean {
  if (isEveryHour(times) || !times.isDay(local)) return false;
  const gapMs = times.zone.gapBefore(atMs);
  for (let backMs = gapMs; backMs > 0; backMs -= 60_000) {
    const minuteOfDay = local.hour * 60 + local.minute - backMs / 60_000;
    if (minuteOfDay < 0) continue; // over midnight: of the day before
    if (times.hours.has(Math.floor(minuteOfDay / 60)) && times.minutes.has(minuteOfDay % 60)) return true;
  }
  return false;
}
