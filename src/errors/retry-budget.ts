import type { Cancellable } from "../lib/cancel.ts";
import { isTagferryError } from "./error.ts";

/**
 * How long one piece of work (a request, a blob) may be tried again without progress. All layers that try again on behalf of
 * it draw from the same budget: else their attempts multiply.
 */
export type RetryBudget = {
  /** Whether there is time for a pause and one more attempt after this error. The time runs from the first error. */
  allows(error: unknown, pauseMs: number): boolean;
  /** After progress: the next error is a first one again. */
  renew(): void;
};

/** How often nobody may answer at all before it is given up: each of these takes the whole time to wait for a first byte. */
const UNANSWERED_MAX = 1;

export function openRetryBudget(totalMs: number): RetryBudget {
  let firstErrorMs: number | undefined;
  const unanswered = new Set<unknown>();
  return {
    allows(error, pauseMs) {
      const nowMs = performance.now();
      firstErrorMs ??= nowMs;
      // several layers ask about one error
      if (isTagferryError(error, "STALLED")) unanswered.add(error);
      if (isTagferryError(error, "REGISTRY_UNRESPONSIVE") || unanswered.size > UNANSWERED_MAX) return false;
      return nowMs + pauseMs - firstErrorMs <= totalMs;
    },
    renew() {
      firstErrorMs = undefined;
      unanswered.clear();
    },
  };
}

const budgets = new WeakMap<AbortSignal, RetryBudget>();

/**
 * The budget that a caller gave to the work of this signal, else a new one. Everything that gets the returned signal, passed
 * on as it is, draws from it.
 */
export function withRetryBudget(
  totalMs: number,
  { signal }: Cancellable,
): { readonly budget: RetryBudget; readonly signal: AbortSignal } {
  const given = signal && budgets.get(signal);
  if (signal && given) return { budget: given, signal };
  const own = AbortSignal.any(signal ? [signal] : []);
  const budget = openRetryBudget(totalMs);
  budgets.set(own, budget);
  return { budget, signal: own };
}
