import { type Cancellable, sleep } from "../lib/cancel.ts";

/** What a registry lets us do: so many connections at once, so many requests a second. */
export interface Allowance {
  /** Waits until one more request may start. Disposing ends it. */
  request(registry: string, options?: Cancellable): Promise<Disposable>;
  /** How many are under way. */
  inUse(registry: string): Promise<number>;
}

export type AllowanceLimits = {
  readonly connections: number;
  /** undefined: as fast as it answers. */
  readonly requestsPerSecond?: number | undefined;
};

/** Allowances for the tasks of one process. `limitsOf` tells those of a registry. */
export function inProcessAllowance(limitsOf: (registry: string) => AllowanceLimits): Allowance {
  const gates = new Map<string, Gate>();
  return {
    async request(registry, options = {}) {
      const gate = gates.get(registry) ?? openGate(limitsOf(registry));
      gates.set(registry, gate);
      return gate.enter(options);
    },
    inUse: async (registry) => gates.get(registry)?.inUse() ?? 0,
  };
}

type Gate = { enter(options: Cancellable): Promise<Disposable>; inUse(): number };

function openGate({ connections, requestsPerSecond }: AllowanceLimits): Gate {
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
        await pace(options);
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
