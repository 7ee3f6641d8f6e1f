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
