import { randomUUID } from "node:crypto";

import { TagferryError } from "../../errors/error.ts";
import { type Cancellable, sleep } from "../../lib/cancel.ts";
import { inProcessRateLimit } from "../../limits/in-process-rate-limit.ts";
import { type RateLimit, type RateLimits, registryOfQueue } from "../../oci/rate-limit.ts";
import { LARGEST } from "../state/state-store.ts";
import { REDIS_PREFIX, type RedisLink } from "./connection.ts";

/** The connections of a process that does not renew them for this long count as closed. */
const HELD_MS = 30_000;
/** A task that would wait longer gives its job back. */
const PATIENCE_MS = 5_000;

/**
 * Takes a connection of the registry and a start time within its requests per second. Answers in ms: 0 or more is the
 * wait until our start time; -1: all connections are in use; -(2 + ms): no start time is free, or the registry is
 * paused, for that long.
 */
const ENTER = `
local time = redis.call("time")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local paused = redis.call("pttl", KEYS[3])
if paused > 0 then return -2 - paused end
redis.call("zremrangebyscore", KEYS[1], "-inf", now)
if redis.call("zcard", KEYS[1]) >= tonumber(ARGV[2]) then return -1 end
local wait = 0
local interval = tonumber(ARGV[3])
if interval > 0 then
  local start = math.max(now, tonumber(redis.call("get", KEYS[2]) or "0"))
  wait = math.ceil(start - now)
  if wait > tonumber(ARGV[5]) then return -2 - wait end
  redis.call("set", KEYS[2], tostring(start + interval), "PX", math.ceil(wait + interval + 1000))
end
redis.call("zadd", KEYS[1], now + tonumber(ARGV[4]), ARGV[1])
redis.call("pexpire", KEYS[1], tonumber(ARGV[4]))
return wait`;

/** Of two pauses the later end counts. The value is the start of the pause (Unix time in ms). */
const PAUSE = `
if redis.call("pttl", KEYS[1]) < tonumber(ARGV[1]) then
  redis.call("set", KEYS[1], redis.call("get", KEYS[1]) or ARGV[2], "PX", ARGV[1])
end
return 0`;

const RENEW = `
local time = redis.call("time")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, member in ipairs(ARGV) do redis.call("zadd", KEYS[1], "XX", now + ${HELD_MS}, member) end
redis.call("pexpire", KEYS[1], ${HELD_MS})
return 0`;

/** Rate limits that all workers share. While Redis is away, each process applies them alone. */
export function redisRateLimit(
  { client }: RedisLink,
  limitsOf: (registry: string) => RateLimits,
): RateLimit & Disposable {
  const local = inProcessRateLimit((registry) => ({ connections: limitsOf(registry).connections }));
  const held = new Map<string, Set<string>>();
  const renewing = setInterval(() => {
    for (const [registry, members] of held)
      if (members.size > 0) client.eval(RENEW, 1, places(registry), ...members).catch(() => {}); // Redis is away
  }, HELD_MS / 3).unref();

  async function enter(registry: string, member: string, { signal }: Cancellable): Promise<void> {
    const { connections, requestsPerSecond } = limitsOf(registry);
    const intervalMs = requestsPerSecond === undefined ? 0 : 1000 / requestsPerSecond;
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const waitMs = await ask(registry, [member, connections, intervalMs, HELD_MS, PATIENCE_MS]);
      if (waitMs >= 0) return waitMs === 0 ? undefined : sleep(waitMs, { signal });
      const bookedMs = waitMs < -1 ? -2 - waitMs : 0;
      if (performance.now() + bookedMs > deadlineMs) throw busy(registry, Math.max(bookedMs, PATIENCE_MS));
      await sleep(bookedMs + 10 + Math.random() * 40, { signal });
    }
  }

  async function ask(line: string, facts: readonly (string | number)[]): Promise<number> {
    try {
      const pace = `${REDIS_PREFIX}:pace:${line}`;
      return Number(await client.eval(ENTER, 3, places(line), pace, pauseKeyOf(line), ...facts));
    } catch {
      return 0;
    }
  }

  return {
    async request(registry, options = {}) {
      const mine = await local.request(registry, options);
      const member = randomUUID();
      const members = held.get(registry) ?? new Set<string>();
      held.set(registry, members);
      const leave = (): void => {
        members.delete(member);
        mine[Symbol.dispose]();
        client.zrem(places(registry), member).catch(() => {}); // it expires
      };
      try {
        await enter(registry, member, options);
      } catch (error) {
        leave();
        throw error;
      }
      members.add(member);
      let isHeld = true;
      return {
        [Symbol.dispose]() {
          if (isHeld) leave();
          isHeld = false;
        },
      };
    },
    pauseUntil(registry, until) {
      local.pauseUntil(registry, until);
      const ms = until.getTime() - Date.now();
      // while Redis is away, the registry tells the other processes itself
      if (ms >= 1) client.eval(PAUSE, 1, pauseKeyOf(registry), Math.ceil(ms), Date.now()).catch(() => {});
    },
    async pausedSince(registry) {
      const sinceMs = Number((await client.get(pauseKeyOf(registry))) ?? Number.NaN);
      return sinceMs > 0 && sinceMs <= LARGEST ? new Date(sinceMs) : undefined;
    },
    async pausedUntil(registry) {
      const restMs = await client.pttl(pauseKeyOf(registry));
      return restMs > 0 ? new Date(Date.now() + restMs) : undefined;
    },
    inUse: (registry) => client.zcard(places(registry)),
    [Symbol.dispose]: () => clearInterval(renewing),
  };
}

const places = (registry: string): string => `${REDIS_PREFIX}:places:${registry}`;

/** A pause is for all queues of a registry. */
const pauseKeyOf = (line: string): string => `${REDIS_PREFIX}:paused:${registryOfQueue(line)}`;

function busy(registry: string, waitMs: number): TagferryError {
  return new TagferryError("BUSY", `the rate limit of ${registry} is used up for now`, {
    where: registry,
    retryAt: new Date(Date.now() + waitMs).toISOString(),
  });
}
