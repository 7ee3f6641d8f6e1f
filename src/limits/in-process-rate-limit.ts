import { TagferryError } from "../errors/error.ts";
import { DEFAULT_RETRY } from "../errors/retry.ts";
import { type Cancellable, sleep } from "../lib/cancel.ts";
import { type Moment, momentAt } from "../lib/moment.ts";
import { openSemaphore } from "../lib/semaphore.ts";
import { type RateLimit, type RateLimits, registryOfQueue } from "../oci/rate-limit.ts";

/** Rate limits for the tasks of one process. `limitsOf` tells those of a registry. */
export function inProcessRateLimit(limitsOf: (line: string) => RateLimits): RateLimit {
  const gates = new Map<string, Gate>();
  const pauses = new Map<string, { readonly since: Date; readonly until: Moment }>();

  const pauseOf = (registry: string): { readonly since: Date; readonly until: Moment } | undefined => {
    const pause = pauses.get(registry);
    return pause && pause.until.restMs() > 0 ? pause : undefined;
  };

  /** Who waits holds his place in the line: nobody else could use it. Tells whether there was a wait. */
  async function waitForPause(registry: string, { signal }: Cancellable): Promise<boolean> {
    for (let waited = false; ; waited = true) {
      const pause = pauseOf(registry);
      if (!pause) return waited;
      const waitMs = pause.until.restMs();
      if (waitMs > DEFAULT_RETRY.patienceMs) throw rateLimited(registry, pause.until.at);
      await sleep(Math.max(1, waitMs), { signal });
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
    pauseUntil(registry, at) {
      const until = momentAt(at);
      const pause = pauseOf(registry);
      if (pause && pause.until.restMs() >= until.restMs()) return;
      // a pause that is made longer began with the first request for it
      pauses.set(registry, { since: pause?.since ?? new Date(), until });
    },
    pausedUntil: async (registry) => pauseOf(registry)?.until.at,
    pausedSince: async (registry) => pauseOf(registry)?.since,
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
