import type { Cancellable } from "../lib/cancel.ts";

/**
 * What a registry lets us do: so many connections at once, so many requests a second. Uploads stand in a line of their own
 * (`lineOfUploads`) with the same limits: a copy within one registry would else wait for itself.
 */
export interface RateLimit {
  /**
   * Waits until one more request may start. Disposing ends it.
   *
   * @throws {TagferryError} RATE_LIMITED when the registry is paused for longer than anybody waits, BUSY
   */
  request(line: string, options?: Cancellable): Promise<Disposable>;
  /** The registry asked for quiet: until then no request to it starts, in none of its lines. */
  pauseUntil(registry: string, until: Date): void;
  /** Until when it asked for quiet; undefined: it may be asked. */
  pausedUntil(registry: string): Promise<Date | undefined>;
  /** When that pause began. */
  pausedSince(registry: string): Promise<Date | undefined>;
  /** How many are under way. */
  inUse(registry: string): Promise<number>;
}

export type RateLimits = {
  readonly connections: number;
  /** undefined: as fast as it answers. */
  readonly requestsPerSecond?: number | undefined;
};

const UPLOADS = " upload";

export const uploadQueueOf = (registry: string): string => `${registry}${UPLOADS}`;

export function registryOfQueue(line: string): string {
  return line.endsWith(UPLOADS) ? line.slice(0, -UPLOADS.length) : line;
}
