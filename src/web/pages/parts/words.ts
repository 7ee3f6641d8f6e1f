import { printable } from "../../../lib/error.ts";
import { redact } from "../../../lib/redact.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Shown when a value cannot be read. Records come from Redis and may contain anything. */
export const UNREADABLE = "not readable";

/** Bytes for people: three digits and a unit. */
export function bytesOf(bytes: number): string {
  if (!Number.isFinite(bytes) || bytes < 0) return UNREADABLE;
  const power = bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

/** A duration for people, with one unit: 40 s, 12 min, 5 h, 3 days. */
export function spanOf(durationMs: number): string {
  if (!Number.isFinite(durationMs)) return UNREADABLE;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

/** `in 12 min`, `3 h ago`, `just now`. */
export function relativeOf(iso: string, now: Date): string {
  const aheadMs = Date.parse(iso) - now.getTime();
  if (Number.isNaN(aheadMs)) return UNREADABLE;
  if (Math.abs(aheadMs) < 5_000) return aheadMs > 0 ? "now" : "just now";
  return aheadMs > 0 ? `in ${spanOf(aheadMs)}` : `${spanOf(-aheadMs)} ago`;
}

/** `23 Nov, 16:30 CET`; with the year when it is not the current year. */
export function absoluteOf(
  iso: string,
  { now, timeZone }: { readonly now: Date; readonly timeZone: string },
): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  const otherYear = date.getUTCFullYear() !== now.getUTCFullYear();
  return formatter(timeZone, otherYear).format(date);
}

/** Making one takes longer than writing a hundred dates, so they are kept. */
const formatters = new Map<string, Intl.DateTimeFormat>();
const FORMATTERS_MAX = 500;

function formatter(timeZone: string, withYear: boolean): Intl.DateTimeFormat {
  const key = `${timeZone} ${withYear}`;
  const known = formatters.get(key);
  if (known) return known;
  if (formatters.size >= FORMATTERS_MAX) formatters.clear();
  const made = new Intl.DateTimeFormat("en-GB", {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
    timeZone,
    ...(withYear ? { year: "numeric" } : {}),
  });
  formatters.set(key, made);
  return made;
}

/** What is no text is no text: records may contain anything. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** `1,234`. */
export function numberText(count: number): string {
  return Number.isFinite(count) ? count.toLocaleString("en-GB") : UNREADABLE;
}

/** `1 tag`, `2 tags`. */
export function countOf(count: number, noun: string): string {
  return `${numberText(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Text from outside, for a page: without secrets, control and bidi characters. HTML is escaped when it is written. */
export function displayText(
  text: string,
  { maxLength = 2_000 }: { readonly maxLength?: number } = {},
): string {
  return printable(String(redact(text)), { maxLength });
}
