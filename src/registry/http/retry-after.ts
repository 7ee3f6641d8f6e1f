import { isTagferryError } from "../../errors/error.ts";
import { DEFAULT_RETRY } from "../../errors/retry.ts";
import { type Cancellable, sleep } from "../../lib/cancel.ts";
import type { Headers } from "../profile.ts";

/** No valid time is longer than this. */
const HEADER_MAX_LENGTH = 64;
const TEXT_MARK = "retry-after: ";

/** A longer wait is invalid. */
const LONGEST_MS = 24 * 60 * 60 * 1000;

/**
 * When a registry wants the next request: Retry-After in seconds or as a date, Docker Hub's X-Retry-After (a Unix
 * time), GHCR's text (`retry-after: 880.092µs`, a Go duration). A time in the past means now. Invalid values are
 * ignored.
 */
export function parseRetryAfter(headers: Headers, text: string, now = new Date()): Date | undefined {
  return (
    fromHeader(single(headers["retry-after"]), now) ??
    fromEpoch(single(headers["x-retry-after"]), now) ??
    fromText(text, now)
  );
}

/**
 * Waits until the time that an error names, if it names one. For callers that continue with another request; `retry`
 * handles the same request.
 *
 * @returns false, at once, when the wait would be longer than the patience of the retry policy
 */
export async function waitForRetryAfter(error: unknown, { signal }: Cancellable = {}): Promise<boolean> {
  const { retryAt } = isTagferryError(error) ? error.details : {};
  if (typeof retryAt !== "string") return true;
  const waitMs = Date.parse(retryAt) - Date.now();
  if (waitMs > DEFAULT_RETRY.patienceMs) return false;
  if (waitMs > 0) await sleep(waitMs, { signal });
  return true;
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function after(delayMs: number, now: Date): Date {
  return new Date(now.getTime() + Math.min(LONGEST_MS, Math.max(0, delayMs)));
}

function fromHeader(value: string | undefined, now: Date): Date | undefined {
  if (value === undefined || value.length > HEADER_MAX_LENGTH) return undefined;
  if (/^\d{1,10}(?:\.\d{1,9})?$/.test(value.trim())) return after(Number(value) * 1000, now);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : after(date - now.getTime(), now);
}

function fromEpoch(value: string | undefined, now: Date): Date | undefined {
  return value !== undefined && /^\d{9,11}$/.test(value)
    ? after(Number(value) * 1000 - now.getTime(), now)
    : undefined;
}

const GO_UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

function fromText(text: string, now: Date): Date | undefined {
  const start = text.indexOf(TEXT_MARK);
  if (start === -1) return undefined;
  const duration = text.slice(start + TEXT_MARK.length, start + TEXT_MARK.length + HEADER_MAX_LENGTH);
  const part = /(\d{1,12}(?:\.\d{1,12})?)(ns|us|µs|ms|s|m|h)/y;
  let totalMs: number | undefined;
  for (let found = part.exec(duration); found; found = part.exec(duration))
    totalMs = (totalMs ?? 0) + Number(found[1]) * (GO_UNITS_MS[found[2] ?? ""] ?? 0);
  return totalMs === undefined ? undefined : after(totalMs, now);
}
