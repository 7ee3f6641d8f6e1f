import { type Context, DEFAULT_CONNECTIONS } from "../../sync/context.ts";
import type { ActiveConfigs } from "../active-config.ts";
import type { Queue } from "../queue/queue.ts";
import type { RedisLink } from "../redis/connection.ts";
import type { StreamWatch } from "../triggers/stream-watch.ts";
import type { Observers } from "./observers.ts";
import type { Health, RateLimitStatus, RegistryPause } from "./view.ts";

export type HealthParts = {
  readonly queue: Queue;
  readonly streamWatch: StreamWatch;
  readonly link: RedisLink | undefined;
  readonly observers: Observers;
  readonly activeConfigs: ActiveConfigs;
  readonly version: string;
  readonly workers: number;
  readonly stopping: AbortSignal;
  readonly startedAt: string;
  /** The configured registries, and those that were asked. */
  readonly registries: readonly string[];
};

export async function healthOf(parts: HealthParts): Promise<Health> {
  const { activeConfigs, link, queue, stopping, version, startedAt, workers } = parts;
  const { config, loadedAt } = activeConfigs.current();
  const failure = activeConfigs.failure();
  const redis = link?.state();
  const reasons = [
    ...(stopping.aborted ? ["stopping"] : []),
    ...(redis && redis.kind !== "up" ? [`redis: ${redis.reason}`] : []),
  ];
  const jobs = await queue.counts().catch(() => undefined);
  return {
    version,
    startedAt,
    ready: reasons.length === 0,
    reasons,
    workers,
    config: {
      file: config.file,
      fingerprint: config.fingerprint,
      loadedAt: loadedAt.toISOString(),
      ...(failure ? { failure } : {}),
    },
    ...(redis ? { redis } : {}),
    ...(jobs ? { jobs } : {}),
    streamWatches: parts.streamWatch.states(),
    rateLimits: await rateLimitsOf(parts),
  };
}

/** A registry without settings is listed only while it gets no requests. */
async function rateLimitsOf({
  activeConfigs,
  observers,
  registries,
}: HealthParts): Promise<readonly RateLimitStatus[]> {
  const { config, context } = activeConfigs.current();
  const pauses = await pausesNow(context, registries);
  const settings = new Map(config.registries.map((one) => [one.registry, one]));
  const shown = [...new Set([...settings.keys(), ...pauses.map(({ registry }) => registry)])];
  return Promise.all(
    shown.map(async (registry) => {
      const pullsLeft = observers.pullsLeft(registry);
      const { requestsPerSecond } = settings.get(registry) ?? {};
      return {
        registry,
        connections: settings.get(registry)?.connections ?? DEFAULT_CONNECTIONS,
        // while Redis is away, the page says so elsewhere
        inUse: await context.connectionsInUse(registry).catch(() => 0),
        ...timesOf(pauses.find((pause) => pause.registry === registry)),
        ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
        ...(pullsLeft === undefined ? {} : { pullsLeft }),
      };
    }),
  );
}

function timesOf(pause: RegistryPause | undefined): Partial<RateLimitStatus> {
  switch (pause?.kind) {
    case undefined:
      return {};
    case "paused":
      return { pausedSince: pause.since, pausedUntil: pause.until };
    case "unresponsive":
      return { unresponsiveSince: pause.since, unresponsiveUntil: pause.until };
  }
}

/** Which of these registries get no requests now, and why. */
export async function pausesNow(
  context: Context,
  registries: readonly string[],
): Promise<readonly RegistryPause[]> {
  const found = await Promise.all(
    registries.map((registry) => pauseOf(context, registry).catch(() => undefined)), // Redis is away
  );
  return found.filter((pause) => pause !== undefined);
}

async function pauseOf(context: Context, registry: string): Promise<RegistryPause | undefined> {
  const silent = context.unresponsive(registry);
  if (silent)
    return {
      registry,
      kind: "unresponsive",
      since: silent.since.toISOString(),
      until: silent.retryAt.toISOString(),
    };
  const [since, until] = await Promise.all([context.pausedSince(registry), context.pausedUntil(registry)]);
  if (!since || !until) return undefined;
  return { registry, kind: "paused", since: since.toISOString(), until: until.toISOString() };
}
