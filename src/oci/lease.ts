import type { Cancellable } from "../lib/cancel.ts";

/**
 * The right to upload one blob to one registry, held by one worker at a time. Who waits finds the blob there afterwards,
 * or mounts it.
 */
export interface Lease {
  /** Waits until `key` (blob store and digest) is free. Disposing gives it back. */
  acquire(key: string, options?: Cancellable): Promise<LeaseHandle>;
}

export type LeaseHandle = Disposable & {
  /** The target that an earlier holder, maybe in another process, put the blob into. */
  readonly pushedTo: string | undefined;
  /** Tells who comes next. */
  setPushedTo(target: string): void;
};

/** Leases for the tasks of one process. */
export function inProcessLease(): Lease {
  const tails = new Map<string, Promise<void>>();
  return {
    async acquire(key, { signal } = {}) {
      signal?.throwIfAborted();
      const before = tails.get(key) ?? Promise.resolve();
      const { promise: released, resolve: release } = Promise.withResolvers<void>();
      const tail = before.then(() => released);
      tails.set(key, tail);
      const free = (): void => {
        release();
        if (tails.get(key) === tail) tails.delete(key);
      };
      try {
        await abortable(before, signal);
      } catch (error) {
        free(); // we never held it; who waits behind us waits for those before us
        throw error;
      }
      // what this process placed, its registry client knows
      return { pushedTo: undefined, setPushedTo: () => {}, [Symbol.dispose]: free };
    },
  };
}

async function abortable(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
