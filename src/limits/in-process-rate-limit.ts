import { TagferryError } from "../errors/error.ts";
import { DEFAULT_RETRY } from "../errors/retry.ts";
import { type Cancellable, sleep } from "../lib/cancel.ts";
import { openSemaphore } from "../lib/semaphore.ts";
import { type RateLimit, type RateLimits, registryOfQueue } from "../oci/rate-limit.ts";

/** Rate limits for the tasks of one process. `limitsOf` tells those of a registry. */
export function inProcessRateLimit(limitsOf: (line: string) => RateLimits): RateLimit {
  const gates = new Map<string, Gate>();
  const pausedUntilMs = new Map<string, number>();
  const pausedSinceMs = new Map<string, number>();

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
      // a pause that is made longer began with the first request for it
      if ((pausedUntilMs.get(registry) ?? 0) <= Date.now()) pausedSinceMs.set(registry, Date.now());
      pausedUntilMs.set(registry, Math.max(until.getTime(), pausedUntilMs.get(registry) ?? 0));
    },
    async pausedUntil(registry) {
      const untilMs = pausedUntilMs.get(registry) ?? 0;
      return untilMs > Date.now() ? new Date(untilMs) : undefined;
    },
    async pausedSince(registry) {
      const sinceMs = pausedSinceMs.get(registry);
      const isPaused = (pausedUntilMs.get(registry) ?? 0) > Date.now();
      return isPaused && sinceMs !== undefined ? new Date(sinceMs) : undefined;
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
  const places = openSemaphore(connections);
  let nextStart = 0;

  const pace = async (options: Cancellable): Promise<void> => {
    if (requestsPerSecond === undefined) return;
    const now = performance.now();
    const start = Math.max(now, nextStart);
    nextStart = start + 1000 / requestsPerSecond;
    if (start > now) await sleep(start - now, options);
  };

  return {
    inUse: () => places.inUse(),
    async enter(options) {
      const place = await places.acquire(options);
      try {
        // a registry may be paused while we wait for our time in the pace, and the pace is kept to afterwards
        do await pace(options);
        while (await waitForPause(options));
        return place;
      } catch (error) {
        place[Symbol.dispose]();
        throw error;
      }
    },
  };
}
