import { setTimeout as delay } from "node:timers/promises";

/** The options of every function that waits. */
export type Cancellable = { readonly signal?: AbortSignal | undefined };

/** A signal that aborts when `signal` aborts, or after `timeoutMs`. */
export function within(timeoutMs: number, { signal }: Cancellable = {}): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

/** Waits for `durationMs`. If `signal` aborts first, throws its reason. */
export async function sleep(durationMs: number, { signal }: Cancellable = {}): Promise<void> {
  signal?.throwIfAborted();
  try {
    await delay(durationMs, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** Waits for a shared promise until `signal` aborts. The promise itself is not aborted. */
export async function unlessAborted<T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return shared;
  shared.catch(() => {}); // after an abort, this caller ignores a later failure of the promise
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const giveUp = (): void => reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return await Promise.race([shared, aborted]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
