import type { Cancellable } from "../lib/cancel.ts";

/**
 * Limits the connections and the requests per second of a registry. Uploads have a queue of their own
 * (`lineOfUploads`) with the same limits. Otherwise a copy within one registry could wait for itself.
 */
export interface RateLimit {
  /**
   * Waits until one more request may start. Disposing ends it.
   *
   * @throws {TagferryError} RATE_LIMITED when the registry is paused for longer than requests may wait, BUSY
   */
  request(line: string, options?: Cancellable): Promise<Disposable>;
  /** Pauses a registry because it asked for this. Until then, no request to it starts, in any of its queues. */
  pauseUntil(registry: string, until: Date): void;
  /** The end of the pause; undefined when the registry is not paused. */
  pausedUntil(registry: string): Promise<Date | undefined>;
  /** The start of that pause. */
  pausedSince(registry: string): Promise<Date | undefined>;
  /** The number of requests in progress. */
  inUse(registry: string): Promise<number>;
}

export type RateLimits = {
  readonly connections: number;
  /** undefined: no limit. */
  readonly requestsPerSecond?: number | undefined;
};

const UPLOADS = " upload";

export const uploadQueueOf = (registry: string): string => `${registry}${UPLOADS}`;

export function registryOfQueue(line: string): string {
  return line.endsWith(UPLOADS) ? line.slice(0, -UPLOADS.length) : line;
}
