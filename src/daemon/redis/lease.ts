import { createHash, randomUUID } from "node:crypto";

import { TagferryError } from "../../errors/error.ts";
import { sleep } from "../../lib/cancel.ts";
import { inProcessLease } from "../../limits/in-process-lease.ts";
import type { Lease } from "../../oci/lease.ts";
import { REDIS_PREFIX, type RedisLink } from "./connection.ts";

export type LeaseOptions = {
  /** A holder that gives no sign of life so long has lost it. */
  readonly holdMs?: number;
  /** Who waits longer gives its job back. */
  readonly patienceMs?: number;
};

/** Who waits for a dead worker's upload waits so long. */
const HOLD_MS = 10_000;
/** Long enough for the other images of a run; a target that lost the blob since is found out by its mount. */
const PLACED_MS = 3_600_000;

const RELEASE = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`;
const RENEW = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) end return 0`;

/**
 * Leases among all workers. Within a process its own line comes first, so that of many tasks one asks.
 *
 * While Redis is away a process goes by its own line alone: what is uploaded twice is wasted, not wrong.
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
        client.eval(RENEW, 1, place, owner, holdMs).catch(() => {}); // then it ends by itself
      }, holdMs / 3).unref();
      return {
        pushedTo: (await client.get(note).catch(() => undefined)) ?? undefined,
        setPushedTo: (target) => void client.set(note, target, "PX", PLACED_MS).catch(() => {}), // only a hint
        [Symbol.dispose]() {
          clearInterval(renewing);
          mine[Symbol.dispose]();
          client.eval(RELEASE, 1, place, owner).catch(() => {}); // as above
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
