import { openKeyedMutex } from "../lib/semaphore.ts";
import type { Lease } from "../oci/lease.ts";

/** How many keys are remembered with the target that got the blob. */
const TARGETS_KEPT = 20_000;

/** Leases for the tasks of one process. */
export function inProcessLease(): Lease {
  const mutex = openKeyedMutex();
  const targets = new Map<string, string>();
  const remember = (key: string, target: string): void => {
    targets.delete(key);
    targets.set(key, target);
    const [oldest] = targets.keys();
    if (targets.size > TARGETS_KEPT && oldest !== undefined) targets.delete(oldest);
  };
  return {
    async acquire(key, options) {
      const place = await mutex.acquire(key, options);
      // two clients of one registry (projects with credentials of their own) learn of each other's pushes here
      const setPushedTo = (target: string): void => remember(key, target);
      return {
        pushedTo: targets.get(key),
        setPushedTo,
        [Symbol.dispose]: () => place[Symbol.dispose](),
      };
    },
  };
}
