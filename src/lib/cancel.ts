import { setTimeout as delay } from "node:timers/promises";

/** The last options of whatever waits. */
export type Cancellable = { readonly signal?: AbortSignal | undefined };

/** A signal that aborts with `signal`, or after `timeoutMs`. */
export function within(timeoutMs: number, { signal }: Cancellable = {}): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

/** Waits, unless `signal` aborts first; then throws its reason. */
export async function sleep(durationMs: number, { signal }: Cancellable = {}): Promise<void> {
  signal?.throwIfAborted();
  try {
    await delay(durationMs, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** Waits for what is shared with others, as long as nobody calls us off. */
export async function unlessAborted<T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return shared;
  shared.catch(() => {}); // whoever gave up does not hear of a later failure
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
