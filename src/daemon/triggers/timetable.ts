import type { Schedule } from "../../config/config.ts";
import type { Log } from "../../lib/log.ts";
import type { Clock } from "./clock.ts";
import { type DueTimes, openDueTimes } from "./due-times.ts";

export type TimetableOptions<T> = {
  readonly clock: Clock;
  readonly log: Log;
  readonly onDue: (due: Due<T>) => void;
};

export type Due<T> = {
  readonly item: T;
  /** The nominal time; the last one, when several passed at once. */
  readonly dueAt: Date;
  /** Another due time passed unnoticed before this one: the process slept, or the clock was put forward. */
  readonly missed: boolean;
  /** Tells times that come again after the clock was put back from those before: part of the run's id. */
  readonly epoch: string;
};

type Entry<T> = {
  item: T;
  readonly key: string;
  readonly times: DueTimes;
  lastAt: Date;
  next: Date | undefined;
};

/**
 * Owns the next due time of every schedule. Looks once a second, and believes neither the clock nor the timer: it compares the
 * wall clock with the monotonic one. After the clock was put back, the next due times are computed anew; after it was put
 * forward, or the process slept, all missed times of a schedule are one.
 */
export type Timetable<T> = Disposable & {
  /** Gives those that are new, or whose schedule changed. */
  follow(items: readonly T[]): readonly T[];
};

/** A difference between the clocks that is worth a line in the log. */
const JUMP_MS = 2_000;

export function openTimetable<T extends { readonly name: string; readonly schedule: Schedule }>({
  clock,
  log,
  onDue,
}: TimetableOptions<T>): Timetable<T> {
  const entries = new Map<string, Entry<T>>();
  let seen = { wallMs: clock.now().getTime(), elapsedMs: clock.elapsedMs() };
  /** The latest time that the wall clock ever showed. */
  let peakMs = seen.wallMs;

  function tick(): void {
    const now = clock.now();
    const passed = { wallMs: now.getTime() - seen.wallMs, elapsedMs: clock.elapsedMs() - seen.elapsedMs };
    seen = { wallMs: now.getTime(), elapsedMs: clock.elapsedMs() };
    if (Math.abs(passed.wallMs - passed.elapsedMs) > JUMP_MS)
      log.warn(
        { jumpMs: Math.round(passed.wallMs - passed.elapsedMs) },
        "the wall clock jumped: due times are computed again",
      );
    if (passed.wallMs < 0)
      for (const entry of entries.values()) {
        entry.lastAt = now;
        entry.next = entry.times.next(now);
      }
    for (const entry of entries.values()) if (entry.next && entry.next <= now) fire(entry, now);
    peakMs = Math.max(peakMs, now.getTime());
  }

  function fire(entry: Entry<T>, now: Date): void {
    const first = entry.next ?? now;
    const dueAt = entry.times.latest(entry.lastAt, now) ?? first;
    entry.lastAt = now;
    entry.next = entry.times.next(now);
    // floored, so that the replicas on one machine mostly say the same
    const isAgain = dueAt.getTime() <= peakMs;
    const epoch = isAgain ? `~${new Date(Math.floor(peakMs / 60_000) * 60_000).toISOString()}` : "";
    onDue({ item: entry.item, dueAt, missed: dueAt > first, epoch });
  }

  const ticking = clock.everySecond(tick);
  return {
    follow(items) {
      const wanted = new Map(items.map((item) => [item.name, item]));
      for (const [name, entry] of entries) {
        const item = wanted.get(name);
        if (item && keyOf(item) === entry.key) entry.item = item;
        else entries.delete(name);
      }
      const added = items.filter(({ name }) => !entries.has(name));
      const now = clock.now();
      for (const item of added) {
        const times = openDueTimes(item.schedule);
        entries.set(item.name, { item, key: keyOf(item), times, lastAt: now, next: times.next(now) });
      }
      return added;
    },
    [Symbol.dispose]() {
      ticking[Symbol.dispose]();
      entries.clear();
    },
  };
}

const keyOf = ({ schedule }: { readonly schedule: Schedule }): string => JSON.stringify(schedule);
