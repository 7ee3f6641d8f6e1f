import { createTask, parse } from "node-cron";

import type { Schedule } from "../../config/config.ts";
import { type LocalTime, type Zone, zoneOf } from "./zone.ts";

/**
 * The due times of a schedule. node-cron parses the expression and decides which days match. We compute the times of a
 * day, because the timers of node-cron fail after jumps of the clock, and in the hours that daylight saving repeats.
 *
 * A due time that the clocks skip in spring comes once, when they have been put forward. A due time that they repeat in
 * autumn comes once, at its first occurrence. But if every hour matches, the schedule continues through both hours.
 */
export type DueTimes = {
  /** The first due time after `after`; undefined when there is none in the next eight years. */
  next(after: Date): Date | undefined;
  /** The last due time in `(after, now]`. Fast for any distance between the two. */
  latest(after: Date, now: Date): Date | undefined;
};

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** The longest time between two 29 Februaries: around a year such as 2100, which is not a leap year. */
const HORIZON_MS = 8 * 366 * DAY_MS;

type Times = {
  readonly zone: Zone;
  readonly isDay: (local: LocalTime) => boolean;
  readonly hours: ReadonlySet<number>;
  readonly minutes: ReadonlySet<number>;
  readonly seconds: readonly number[];
};

/** Mirrors with the same schedule share its due times: node-cron needs much memory and time to parse one. */
const known = new Map<string, DueTimes>();
const KNOWN_MAX = 1_000;

export function openDueTimes(schedule: Schedule): DueTimes {
  const key = `${schedule.timeZone} ${schedule.cron}`;
  const opened = known.get(key) ?? parseDueTimes(schedule);
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(key, opened);
  return opened;
}

function parseDueTimes(schedule: Schedule): DueTimes {
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

/** Asks node-cron about noon of the day in UTC, and caches the answers. */
function dayMatcher(cron: string): Times["isDay"] {
  const dayFields = cron.trim().split(/\s+/).slice(-3);
  const task = createTask(`0 0 12 ${dayFields.join(" ")}`, () => {}, { timezone: "UTC" });
  void task.destroy(); // otherwise node-cron keeps every task; `match` needs no running task
  const days = new Map<number, boolean>();
  return ({ day }) => {
    const kept = days.get(day);
    if (kept !== undefined) return kept;
    if (days.size > 400) days.clear();
    const matches = task.match(new Date(day * DAY_MS + DAY_MS / 2));
    days.set(day, matches);
    return matches;
  };
}

/** Steps by days while the day does not match, then by hours, minutes and seconds. */
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

/** Ms to the next time that may match; 0 if this one matches. */
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

/** The clocks were put back, and this local time has occurred before. */
function isRepeated(times: Times, atMs: number): boolean {
  return !isEveryHour(times) && times.zone.isSecond(atMs);
}

/** The clocks were put forward to this time, and skipped a due time. */
function skippedTime(times: Times, atMs: number, local: LocalTime): boolean {
  if (isEveryHour(times) || !times.isDay(local)) return false;
  const gapMs = times.zone.gapBefore(atMs);
  for (let backMs = gapMs; backMs > 0; backMs -= 60_000) {
    const minuteOfDay = local.hour * 60 + local.minute - backMs / 60_000;
    if (minuteOfDay < 0) continue; // past midnight: the day before
    if (times.hours.has(Math.floor(minuteOfDay / 60)) && times.minutes.has(minuteOfDay % 60)) return true;
  }
  return false;
}
