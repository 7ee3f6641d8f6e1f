import { createHash, randomUUID } from "node:crypto";

import { TagferryError } from "../../errors/error.ts";
import { sleep } from "../../lib/cancel.ts";
import { inProcessLease } from "../../limits/in-process-lease.ts";
import type { Lease } from "../../oci/lease.ts";
import { REDIS_PREFIX, type RedisLink } from "./connection.ts";

export type LeaseOptions = {
  /** A worker that does not renew its lease for this long has lost it. */
  readonly holdMs?: number;
  /** A task that waits longer for a lease gives its job back. */
  readonly patienceMs?: number;
};

/** So long others wait for the upload of a worker that died. */
const HOLD_MS = 10_000;
/** Long enough for the other images of a run. If the target has lost the blob since, the mount fails and shows it. */
const PLACED_MS = 3_600_000;

const RELEASE = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`;
const RENEW = `
if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) end
return 0`;

/**
 * Leases that all workers share. The tasks of one process queue up in the process, so that only one of them asks Redis.
 *
 * While Redis is away, a process uses only its own queue. A second upload of the same blob is waste, but not an error.
 */
export function redisLease(
  { client }: RedisLink,
  { holdMs = HOLD_MS, patienceMs = 20_000 }: LeaseOptions = {},
): Lease {
  const local = inProcessLease();
  const owner = randomUUID();
  return {
    async acquire(key, { signal } = {}) {
      const id = createHash("sha256").update(key).digest("base64url");
      const place = `${REDIS_PREFIX}:lease:${id}`;
      const note = `${REDIS_PREFIX}:placed:${id}`;
      const mine = await local.acquire(key, { signal });
      try {
        const deadlineMs = performance.now() + patienceMs;
        while (!(await take(place))) {
          if (performance.now() > deadlineMs)
            throw new TagferryError("BUSY", `another worker has been sending ${key} for a while`, {
              where: key,
            });
          await sleep(50 + Math.random() * 200, { signal });
        }
      } catch (error) {
        mine[Symbol.dispose]();
        throw error;
      }
      const renewing = setInterval(() => {
        client.eval(RENEW, 1, place, owner, holdMs).catch(() => {}); // it expires
      }, holdMs / 3).unref();
      return {
        pushedTo: (await client.get(note).catch(() => undefined)) ?? undefined,
        setPushedTo: (target) => void client.set(note, target, "PX", PLACED_MS).catch(() => {}), // only a hint
        [Symbol.dispose]() {
          clearInterval(renewing);
          mine[Symbol.dispose]();
          client.eval(RELEASE, 1, place, owner).catch(() => {}); // it expires
        },
      };
    },
  };

  async function take(place: string): Promise<boolean> {
    try {
      return (await client.set(place, owner, "PX", holdMs, "NX")) === "OK";
    } catch {
      return true;
    }
  }
}
