import type { Config } from "../config/config.ts";
import type { Log } from "../lib/log.ts";
import type { RateLimit, RateLimits } from "../oci/rate-limit.ts";
import type { ContextOptions } from "../sync/context.ts";
import { bullQueue } from "./queue/bullmq.ts";
import { inProcessQueue } from "./queue/in-process.ts";
import { openJobSigner, UNSIGNED } from "./queue/job-signer.ts";
import type { Queue } from "./queue/queue.ts";
import { openRecords, type Records } from "./records/records.ts";
import { openRedis, type RedisLink } from "./redis/connection.ts";
import { redisLease } from "./redis/lease.ts";
import { redisRateLimit } from "./redis/rate-limit.ts";
import { fileStateStore } from "./state/file.ts";
import { redisStateStore } from "./state/redis.ts";
import { inProcessStateStore } from "./state/state-store.ts";

/** What the processes of an installation share: through Redis, or within one process. */
export type Shared = {
  readonly link: RedisLink | undefined;
  readonly queue: Queue;
  readonly records: Records;
  /** Leases and rate limits for the clients; empty in one process. */
  readonly limits: Pick<ContextOptions, "lease" | "openRateLimit">;
  /** What the records need until the end. */
  readonly store: AsyncDisposable | undefined;
};

const CONNECTING_MS = 3_000;

export async function openShared(
  { daemon }: Config,
  log: Log,
  { now, lockMs }: { readonly now: () => Date; readonly lockMs: number | undefined },
): Promise<Shared> {
  if (!daemon.redis) {
    const file = daemon.stateFile === undefined ? undefined : await fileStateStore(daemon.stateFile, { log });
    const records = openRecords(file ?? inProcessStateStore(), { now });
    return { link: undefined, queue: inProcessQueue(), records, limits: {}, store: file };
  }
  const link = openRedis(daemon.redis, log);
  // without it the daemon runs and is not ready: Redis may come later
  await link.settle(CONNECTING_MS);
  const lock = lockMs === undefined ? {} : { lockMs };
  const signer = daemon.jobKeyFile === undefined ? UNSIGNED : openJobSigner(daemon.jobKeyFile);
  return {
    link,
    queue: bullQueue(link, { log, signer, ...lock }),
    records: openRecords(redisStateStore(link), { now }),
    limits: {
      // a dead worker loses its leases when it loses its jobs
      lease: redisLease(link, lockMs === undefined ? {} : { holdMs: lockMs }),
      openRateLimit: sharedRateLimit(link),
    },
    store: link,
  };
}

type OpenRateLimit = (limitsOf: (registry: string) => RateLimits) => RateLimit;

/** One for all configurations: the limits are those of the configuration that was opened last. */
function sharedRateLimit(link: RedisLink): OpenRateLimit {
  let limits: ((registry: string) => RateLimits) | undefined;
  const rateLimit = redisRateLimit(link, (registry) => limits?.(registry) ?? { connections: 1 });
  return (limitsOf) => {
    limits = limitsOf;
    return rateLimit;
  };
}
