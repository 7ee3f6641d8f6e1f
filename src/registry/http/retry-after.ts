import { isTagferryError } from "../../errors/error.ts";
import { DEFAULT_RETRY } from "../../errors/retry.ts";
import { type Cancellable, sleep } from "../../lib/cancel.ts";
import type { Headers } from "../profile.ts";

/** A wait beyond this is garbage. */
const LONGEST_MS = 24 * 60 * 60 * 1000;

/**
 * When a registry wants to be asked again: Retry-After in seconds or as a date, Docker Hub's X-Retry-After (an epoch), GHCR's
 * text (`retry-after: 880.092µs`, a Go duration). A time that is past means now; garbage means nothing.
 */
export function parseRetryAfter(headers: Headers, text: string, now = new Date()): Date | undefined {
  return (
    fromHeader(single(headers["retry-after"]), now) ??
    fromEpoch(single(headers["x-retry-after"]), now) ??
    fromText(text, now)
  );
}

/**
 * Waits until the time that a refusal names, when it names one. For what goes on in another way than by sending the same
 * request again, which `retry` looks after.
 *
 * @returns false, at once, when that is longer than anybody has patience
 */
export async function waitAsTold(error: unknown, { signal }: Cancellable = {}): Promise<boolean> {
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
  if (value === undefined) return undefined;
  if (/^\d{1,10}(?:\.\d+)?$/.test(value.trim())) return after(Number(value) * 1000, now);
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
  const duration = /retry-after: ((?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+)/.exec(text)?.[1];
  if (duration === undefined) return undefined;
  let totalMs = 0;
  for (const [, value, unit] of duration.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    totalMs += Number(value) * (GO_UNITS_MS[unit ?? ""] ?? 0);
  return after(totalMs, now);
}
