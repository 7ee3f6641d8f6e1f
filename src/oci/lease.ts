import type { Cancellable } from "../lib/cancel.ts";

/**
 * The right to upload one blob to one registry, held by one worker at a time. The next holder finds the blob there, or mounts
 * it.
 */
export interface Lease {
  /** Waits until `key` (blob store and digest) is free. Disposing the handle gives it back. */
  acquire(key: string, options?: Cancellable): Promise<LeaseHandle>;
}

export type LeaseHandle = Disposable & {
  /** The target that an earlier holder, maybe in another process, put the blob into. */
  readonly pushedTo: string | undefined;
  /** For the next holder. */
  setPushedTo(target: string): void;
};

/** How many keys are remembered with the target that got the blob. */
const TARGETS_KEPT = 20_000;

/** Leases for the tasks of one process. */
export function inProcessLease(): Lease {
  const tails = new Map<string, Promise<void>>();
  const targets = new Map<string, string>();
  const remember = (key: string, target: string): void => {
    targets.delete(key);
    targets.set(key, target);
    const [oldest] = targets.keys();
    if (targets.size > TARGETS_KEPT && oldest !== undefined) targets.delete(oldest);
  };
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
        free(); // never held: those behind wait for those before
        throw error;
      }
      // two clients of one registry (projects with credentials of their own) learn of each other's pushes here
      const setPushedTo = (target: string): void => remember(key, target);
      return { pushedTo: targets.get(key), setPushedTo, [Symbol.dispose]: free };
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
