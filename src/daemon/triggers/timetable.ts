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
  /** The nominal time. If several passed at once, the last one. */
  readonly dueAt: Date;
  /** Earlier due times were missed: the process was stopped, or the clock was put forward. */
  readonly missed: boolean;
  /** Part of the id of the run. Distinguishes times that occur again after the clock was put back. */
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
 * Owns the next due time of every schedule. Once a second it compares the wall clock with the monotonic clock. When the
 * wall clock was put back, all due times are computed again. When it was put forward, or the process was stopped, all
 * missed times of a schedule count as one.
 */
export type Timetable<T> = Disposable & {
  /** Returns the items that are new or have another schedule. */
  follow(items: readonly T[]): readonly T[];
};

/** A larger difference between the clocks is logged. */
const JUMP_MS = 2_000;

export function openTimetable<T extends { readonly name: string; readonly schedule: Schedule }>({
  clock,
  log,
  onDue,
}: TimetableOptions<T>): Timetable<T> {
  const entries = new Map<string, Entry<T>>();
  let seen = { wallMs: clock.now().getTime(), elapsedMs: clock.elapsedMs() };
  /** The latest time that the wall clock has shown. */
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
    // floored, so that replicas on one machine mostly get the same epoch
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
