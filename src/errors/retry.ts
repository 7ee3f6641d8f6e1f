import { type Cancellable, sleep } from "../lib/cancel.ts";
import { ERROR_CODES } from "./codes.ts";
import { isTagferryError, type TagferryError } from "./error.ts";

export type RetryPolicy = {
  readonly attempts: number;
  /** The first pause. It doubles each time, with full jitter. */
  readonly baseMs: number;
  readonly capMs: number;
  /** The longest wait that a Retry-After may require. A longer one makes the call fail. */
  readonly patienceMs: number;
  /** Called before each pause. false stops the retries, and the error is thrown. */
  readonly mayRetry?: (error: TagferryError, pauseMs: number) => boolean;
  /** Called before each pause. */
  readonly onRetry?: (error: TagferryError, pauseMs: number) => void;
  /** The jitter, in [0, 1). Tests pass their own function. */
  readonly random?: () => number;
};

export const DEFAULT_RETRY: RetryPolicy = { attempts: 5, baseMs: 250, capMs: 30_000, patienceMs: 120_000 };

/**
 * Runs `task` until it succeeds, fails permanently, or has used all attempts. The error's code decides, never its
 * message.
 *
 * `task` must be repeatable: it must open the body of a request again for each attempt.
 */
export async function retry<T>(
  task: (attempt: number) => Promise<T>,
  { signal, ...policy }: Partial<RetryPolicy> & Cancellable = {},
): Promise<T> {
  const {
    attempts,
    baseMs,
    capMs,
    patienceMs,
    mayRetry = () => true,
    onRetry,
    random = Math.random,
  } = { ...DEFAULT_RETRY, ...policy };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await task(attempt);
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt >= attempts || !isTagferryError(error)) throw error;
      const pauseMs = pause(error, Math.min(capMs, baseMs * 2 ** (attempt - 1)) * random());
      if (pauseMs === undefined || pauseMs > patienceMs || !mayRetry(error, pauseMs)) throw error;
      onRetry?.(error, pauseMs);
      await sleep(pauseMs, { signal });
    }
  }
}

function pause(error: TagferryError, backoffMs: number): number | undefined {
  const { retry: kind } = ERROR_CODES[error.code] as { retry?: "again" | "later" };
  const { retryAt } = error.details;
  if (kind === undefined) return undefined;
  if (typeof retryAt === "string") return Math.max(backoffMs, Date.parse(retryAt) - Date.now());
  return kind === "again" || error.code === "RATE_LIMITED" ? backoffMs : undefined;
}
