import type { Config } from "../config/config.ts";
import type { Log } from "../lib/log.ts";
import type { RateLimit, RateLimits } from "../oci/rate-limit.ts";
import { bullQueue } from "./queue/bullmq.ts";
import { openJobSigner, UNSIGNED } from "./queue/job-signer.ts";
import { openRecords } from "./records/records.ts";
import { openRedis, type RedisLink } from "./redis/connection.ts";
import { redisLease } from "./redis/lease.ts";
import { redisRateLimit } from "./redis/rate-limit.ts";
import type { Shared, SharedOptions } from "./shared-types.ts";
import { redisStateStore } from "./state/redis.ts";

const CONNECTING_MS = 3_000;

/** Loaded only when Redis is configured: BullMQ and ioredis need 30 MB and 0.1 s. */
export async function openSharedRedis(
  redis: NonNullable<Config["daemon"]["redis"]>,
  jobKeyFile: string | undefined,
  log: Log,
  { now, lockMs }: SharedOptions,
): Promise<Shared> {
  const link = openRedis(redis, log);
  // without Redis the daemon runs, but is not ready: Redis may come later
  await link.settle(CONNECTING_MS);
  const lock = lockMs === undefined ? {} : { lockMs };
  const signer = jobKeyFile === undefined ? UNSIGNED : openJobSigner(jobKeyFile);
  return {
    link,
    queue: bullQueue(link, { log, signer, ...lock }),
    records: openRecords(redisStateStore(link), { now }),
    limits: {
      // a dead worker loses its leases together with its jobs
      lease: redisLease(link, lockMs === undefined ? {} : { holdMs: lockMs }),
      openRateLimit: sharedRateLimit(link),
    },
    store: link,
  };
}

type OpenRateLimit = (limitsOf: (registry: string) => RateLimits) => RateLimit;

/** One rate limit for all configurations, with the limits of the one that was opened last. */
function sharedRateLimit(link: RedisLink): OpenRateLimit {
  let limits: ((registry: string) => RateLimits) | undefined;
  const rateLimit = redisRateLimit(link, (registry) => limits?.(registry) ?? { connections: 1 });
  return (limitsOf) => {
    limits = limitsOf;
    return rateLimit;
  };
}
