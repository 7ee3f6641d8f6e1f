import type { Cancellable } from "../lib/cancel.ts";
import { isTagferryError } from "./error.ts";

/**
 * How long one operation (a request, a blob) may be retried without progress. All layers that retry for this operation
 * use the same budget. Otherwise their attempts would multiply.
 */
export type RetryBudget = {
  /** Whether there is time for a pause and one more attempt after this error. The time starts at the first error. */
  allows(error: unknown, pauseMs: number): boolean;
  /** Call this after a request that got no answer, with the time that it waited. */
  waited(durationMs: number): void;
  /** Call this after progress. The next error then starts a new period. */
  renew(): void;
};

/** How many requests without any answer are retried. Each of them takes the full first-byte timeout. */
const UNANSWERED_MAX = 1;
/** The part of the time that may pass without any answer. (Timers are not exact, so it is a little less than a half.) */
const SILENT_PART = 0.49;

export function openRetryBudget(totalMs: number): RetryBudget {
  let firstErrorMs: number | undefined;
  let silentMs = 0;
  const unanswered = new Set<unknown>();
  return {
    allows(error, pauseMs) {
      const nowMs = performance.now();
      firstErrorMs ??= nowMs;
      // several layers may report the same error
      if (isTagferryError(error, "STALLED")) unanswered.add(error);
      if (isTagferryError(error, "REGISTRY_UNRESPONSIVE") || unanswered.size > UNANSWERED_MAX) return false;
      if (silentMs > 0 && silentMs >= totalMs * SILENT_PART) return false;
      return nowMs + pauseMs - firstErrorMs <= totalMs;
    },
    waited(durationMs) {
      silentMs += durationMs;
    },
    renew() {
      firstErrorMs = undefined;
      silentMs = 0;
      unanswered.clear();
    },
  };
}

const budgets = new WeakMap<AbortSignal, RetryBudget>();

/** The budget of the operation to which this signal belongs. */
export function budgetOf(signal: AbortSignal | undefined): RetryBudget | undefined {
  return signal && budgets.get(signal);
}

/**
 * Returns the caller's budget for this signal, or a new one. Everything that gets the returned signal unchanged uses
 * the same budget.
 */
export function withRetryBudget(
  totalMs: number,
  { signal }: Cancellable,
): { readonly budget: RetryBudget; readonly signal: AbortSignal } {
  const given = budgetOf(signal);
  if (signal && given) return { budget: given, signal };
  const own = AbortSignal.any(signal ? [signal] : []);
  const budget = openRetryBudget(totalMs);
  budgets.set(own, budget);
  return { budget, signal: own };
}
