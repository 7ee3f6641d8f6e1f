import type { Cancellable } from "../lib/cancel.ts";

/**
 * The right to upload one blob to one registry. One worker at a time holds it. The next holder finds the blob there
 * or mounts it.
 */
export interface Lease {
  /** Waits until `key` (blob store and digest) is free. Disposing the result gives it back. */
  acquire(key: string, options?: Cancellable): Promise<LeaseHandle>;
}

export type LeaseHandle = Disposable & {
  /** The target to which an earlier holder pushed the blob. That holder may be in another process. */
  readonly pushedTo: string | undefined;
  /** Tells the next holder where the blob is. */
  setPushedTo(target: string): void;
};
