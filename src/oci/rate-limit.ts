import { TagferryError } from "../errors/error.ts";
import { DEFAULT_RETRY } from "../errors/retry.ts";
import { type Cancellable, sleep } from "../lib/cancel.ts";

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

/** Rate limits for the tasks of one process. `limitsOf` tells those of a registry. */
export function inProcessRateLimit(limitsOf: (line: string) => RateLimits): RateLimit {
  const gates = new Map<string, Gate>();
  const pausedUntilMs = new Map<string, number>();

  /** Who waits holds his place in the line: nobody else could use it. Tells whether there was a wait. */
  async function waitForPause(registry: string, { signal }: Cancellable): Promise<boolean> {
    for (let waited = false; ; waited = true) {
      const untilMs = pausedUntilMs.get(registry) ?? 0;
      const waitMs = untilMs - Date.now();
      if (waitMs <= 0) return waited;
      if (waitMs > DEFAULT_RETRY.patienceMs) throw rateLimited(registry, new Date(untilMs));
      await sleep(waitMs, { signal });
    }
  }

  return {
    async request(line, options = {}) {
      const gate =
        gates.get(line) ??
        openGate(limitsOf(line), (waiting) => waitForPause(registryOfQueue(line), waiting));
      gates.set(line, gate);
      return gate.enter(options);
    },
    pauseUntil(registry, until) {
      pausedUntilMs.set(registry, Math.max(until.getTime(), pausedUntilMs.get(registry) ?? 0));
    },
    async pausedUntil(registry) {
      const untilMs = pausedUntilMs.get(registry) ?? 0;
      return untilMs > Date.now() ? new Date(untilMs) : undefined;
    },
    inUse: async (registry) => gates.get(registry)?.inUse() ?? 0,
  };
}

type Gate = { enter(options: Cancellable): Promise<Disposable>; inUse(): number };

function rateLimited(registry: string, until: Date): TagferryError {
  const retryAt = until.toISOString();
  return new TagferryError("RATE_LIMITED", `${registry} asked not to be asked before ${retryAt}`, {
    where: registry,
    retryAt,
  });
}

function openGate(
  { connections, requestsPerSecond }: RateLimits,
  waitForPause: (options: Cancellable) => Promise<boolean>,
): Gate {
  const waiting: (() => void)[] = [];
  let free = connections;
  let nextStart = 0;

  const leave = (): void => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };

  const enter = ({ signal }: Cancellable): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return Promise.resolve();
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const go = (): void => {
      signal?.removeEventListener("abort", giveUp);
      resolve();
    };
    const giveUp = (): void => {
      waiting.splice(waiting.indexOf(go), 1);
      reject(signal?.reason);
    };
    waiting.push(go);
    signal?.addEventListener("abort", giveUp, { once: true });
    return promise;
  };

  const pace = async (options: Cancellable): Promise<void> => {
    if (requestsPerSecond === undefined) return;
    const now = performance.now();
    const start = Math.max(now, nextStart);
    nextStart = start + 1000 / requestsPerSecond;
    if (start > now) await sleep(start - now, options);
  };

  return {
    inUse: () => connections - free,
    async enter(options) {
      options.signal?.throwIfAborted();
      await enter(options);
      try {
        // a registry may be paused while we wait for our time in the pace, and the pace is kept to afterwards
        do await pace(options);
        while (await waitForPause(options));
      } catch (error) {
        leave();
        throw error;
      }
      let held = true;
      return {
        [Symbol.dispose]: () => {
          if (held) leave();
          held = false;
        },
      };
    },
  };
}
