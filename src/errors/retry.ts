import { type Cancellable, sleep } from "../lib/cancel.ts";
import { ERROR_CODES } from "./codes.ts";
import { isTagferryError, type TagferryError } from "./error.ts";

export type RetryPolicy = {
  readonly attempts: number;
  /** The first pause; each further one doubles, with full jitter. */
  readonly baseMs: number;
  readonly capMs: number;
  /** How long a registry may make us wait with Retry-After before it becomes the caller's failure. */
  readonly patienceMs: number;
  /** Asked before each pause: false ends it, and the error is the caller's. */
  readonly mayRetry?: (error: TagferryError, pauseMs: number) => boolean;
  /** Told before each pause. */
  readonly onRetry?: (error: TagferryError, pauseMs: number) => void;
  /** In [0, 1): the jitter; a test passes its own. */
  readonly random?: () => number;
};

export const DEFAULT_RETRY: RetryPolicy = { attempts: 5, baseMs: 250, capMs: 30_000, patienceMs: 120_000 };

/**
 * Runs `task` until it succeeds, fails for good, or has had its attempts. The code decides, never the message.
 *
 * `task` must be able to start over: a body that was sent is opened anew by it.
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
