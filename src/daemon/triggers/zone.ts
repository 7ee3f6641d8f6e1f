/** A local time. `day` counts from 1970-01-01. */
export type LocalTime = {
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
};

/** The parts of a time zone that schedules need. Times are Unix times in ms, at whole seconds. */
export type Zone = {
  local(atMs: number): LocalTime;
  /** The time `ms` later, or the next change of the clocks if it comes first. */
  step(atMs: number, ms: number): number;
  /** By how much the clocks were put forward at exactly this time; otherwise 0. */
  gapBefore(atMs: number): number;
  /** Whether the clocks were put back and showed this local time before. */
  isSecond(atMs: number): boolean;
};

const QUARTER_MS = 15 * 60_000;
const DAY_MS = 86_400_000;
/** No zone puts its clocks forward or back by more. */
const SHIFT_MAX_MS = 3 * 3_600_000;
const KEPT_MAX = 4_000;

const zones = new Map<string, Zone>();

export function zoneOf(timeZone: string): Zone {
  const known = zones.get(timeZone) ?? openZone(timeZone);
  zones.set(timeZone, known);
  return known;
}

function openZone(timeZone: string): Zone {
  const offsetAt = offsetsOf(timeZone);
  return {
    local(atMs) {
      const localMs = atMs + offsetAt(atMs);
      const day = Math.floor(localMs / DAY_MS);
      const seconds = Math.floor((localMs - day * DAY_MS) / 1_000);
      return {
        day,
        hour: Math.floor(seconds / 3_600),
        minute: Math.floor(seconds / 60) % 60,
        second: seconds % 60,
      };
    },
    step(atMs, ms) {
      if (offsetAt(atMs + ms) === offsetAt(atMs)) return atMs + ms;
      return changeBetween(offsetAt, atMs, atMs + ms);
    },
    gapBefore: (atMs) => (atMs % QUARTER_MS === 0 ? Math.max(0, offsetAt(atMs) - offsetAt(atMs - 1)) : 0),
    isSecond(atMs) {
      const offset = offsetAt(atMs);
      for (let backMs = QUARTER_MS; backMs <= SHIFT_MAX_MS; backMs += QUARTER_MS)
        if (offsetAt(atMs - backMs) - offset === backMs) return true;
      return false;
    },
  };
}

/** The first quarter of an hour with another offset than at `fromMs`. Clocks change only at quarters. */
function changeBetween(offsetAt: (atMs: number) => number, fromMs: number, toMs: number): number {
  const before = offsetAt(fromMs);
  for (let atMs = (Math.floor(fromMs / QUARTER_MS) + 1) * QUARTER_MS; atMs < toMs; atMs += QUARTER_MS)
    if (offsetAt(atMs) !== before) return atMs;
  return toMs;
}

/** The offset from UTC in ms at a time, cached for each quarter of an hour. */
function offsetsOf(timeZone: string): (atMs: number) => number {
  if (timeZone === "UTC" || timeZone === "Etc/UTC") return () => 0;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const known = new Map<number, number>();
  return (atMs) => {
    const quarter = Math.floor(atMs / QUARTER_MS);
    const kept = known.get(quarter);
    if (kept !== undefined) return kept;
    if (known.size > KEPT_MAX) known.clear();
    const startMs = quarter * QUARTER_MS;
    const parts = new Map(format.formatToParts(startMs).map(({ type, value }) => [type, Number(value)]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    const localMs = Date.UTC(
      part("year"),
      part("month") - 1,
      part("day"),
      part("hour"),
      part("minute"),
      part("second"),
    );
    known.set(quarter, localMs - startMs);
    return localMs - startMs;
  };
}
