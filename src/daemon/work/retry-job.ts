import { ERROR_CODES } from "../../errors/codes.ts";
import type { Failure } from "../../errors/error.ts";
import type { Outcome } from "../../sync/report.ts";
import { RetryLater } from "../queue/queue.ts";

const ATTEMPTS_MAX = 5;
export const BACKOFF_BASE_MS = 5_000;
const BACKOFF_MAX_MS = 10 * 60_000;
/** The pause between two attempts to write a layout that another worker writes, and the longest total wait. */
const TURN_MS = 700;
const TURN_MAX_MS = 10 * 60_000;
/** A worker may get a new configuration minutes after the daemon: a ConfigMap reaches its pods at different times. */
const UNKNOWN_MS = 15_000;
const UNKNOWN_ATTEMPTS = 20;

/** The pause before the next attempt of a failed job; undefined when a retry does not help, or after ATTEMPTS_MAX. */
export function retryDelayMs({ code, details }: Failure, attempt: number): number | undefined {
  if (!("retry" in ERROR_CODES[code]) || attempt >= ATTEMPTS_MAX || code === "DISK_FULL") return undefined;
  const backoffMs = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** attempt) * (0.5 + Math.random());
  const untilMs = typeof details["retryAt"] === "string" ? Date.parse(details["retryAt"]) - Date.now() : 0;
  return Math.round(Math.max(backoffMs, Number.isNaN(untilMs) ? 0 : untilMs));
}

/** Throws `RetryLater` while another worker writes the layout. */
export function throwIfLocked(outcomes: readonly Outcome[], waitedMs: number): void {
  const locked = outcomes.some((outcome) => "failure" in outcome && outcome.failure.code === "LAYOUT_LOCKED");
  if (!locked || waitedMs > TURN_MAX_MS) return;
  throw new RetryLater(TURN_MS * (0.5 + Math.random()), { counts: false });
}

/** Throws `RetryLater` for some minutes: this worker may not know the mirror yet. */
export function throwIfUnknown(attempt: number): void {
  if (attempt < UNKNOWN_ATTEMPTS) throw new RetryLater(UNKNOWN_MS);
}
