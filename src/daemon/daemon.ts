import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/file/load.ts";
import type { Log } from "../lib/log.ts";
import type { RateLimit, RateLimits } from "../oci/rate-limit.ts";
import { type ContextOptions, openContext } from "../sync/context.ts";
import { type ActiveConfig, openActiveConfig } from "./active-config.ts";
import { type ConfigWatcher, openConfigWatcher } from "./config-watcher.ts";
import { bullQueue } from "./queue/bullmq.ts";
import { inProcessQueue } from "./queue/in-process.ts";
import type { Queue, Workers } from "./queue/queue.ts";
import { openRecords, type Records } from "./records/records.ts";
import { openRedis, type RedisLink } from "./redis/connection.ts";
import { type LeaseOptions, redisLease } from "./redis/lease.ts";
import { redisRateLimit } from "./redis/rate-limit.ts";
import { fileStateStore } from "./state/file.ts";
import { redisStateStore } from "./state/redis.ts";
import { inProcessStateStore } from "./state/state-store.ts";
import { type Cron, nodeCron } from "./triggers/cron.ts";
import type { DriftTrackerOptions } from "./triggers/drift-tracker.ts";
import { openScheduler, type Scheduler } from "./triggers/scheduler.ts";
import { openStreamWatch, type StreamWatch } from "./triggers/stream-watch.ts";
import { observedRequest, type Observers, openObservers } from "./view/observers.ts";
import { openView } from "./view/open-view.ts";
import type { DaemonView } from "./view/view.ts";
import { doJob } from "./work/work.ts";

export type DaemonOptions = {
  /** Reads the configuration, with every check there is. */
  readonly load: () => Promise<Loaded>;
  readonly env: ContextOptions["env"];
  readonly log: Log;
  readonly version: string;
  /** Of this process; default: what the configuration says. */
  readonly workers?: number | undefined;
  /** Whether schedules are followed here: a worker next to a daemon only works. */
  readonly schedules: boolean;
  readonly cron?: Cron;
  /** How long a job is a worker's without a sign of life. */
  readonly lockMs?: number;
  readonly streamWatch?: Pick<DriftTrackerOptions, "settleMs" | "restMs">;
};

/** All mirrors, until told to stop: schedule → queue → worker. */
export type Daemon = {
  readonly view: DaemonView;
  readonly config: () => Config;
  /**
   * Takes no new work and ends what is under way; what is not done when `signal` aborts is given back. Then everything is
   * closed, also while Redis is away.
   */
  stop(options: { readonly signal: AbortSignal }): Promise<void>;
};

const CHECKS = 8;
/** Several workers write one layout in turns. */
const LAYOUT_TURNS = { idleMs: 200, patienceMs: 1_000 };
const CONNECTING_MS = 3_000;
/** For what is left to close when the work has ended. */
const CLOSING_MS = 2_000;

/**
 * @throws {TagferryError} CONFIG_* when there is no good configuration to begin with
 */
export async function openDaemon(options: DaemonOptions): Promise<Daemon> {
  const { log, env, load, schedules } = options;
  const cron = options.cron ?? nodeCron(log);
  const observers = openObservers(log);
  const { config: first } = await load();
  const now = (): Date => cron.now();
  const shares = await openShared(first, log, { now, lockMs: options.lockMs });
  const { link, queue, records } = shares;
  const shared = link
    ? { lease: redisLease(link, leaseOptions(options)), openRateLimit: sharedRateLimit(link) }
    : {};
  const activeConfigs = openActiveConfigs(first, (config) =>
    openContext({
      config,
      env,
      log,
      layoutTurns: LAYOUT_TURNS,
      proofs: records.proofs,
      onRequest: (request) => observers.notify(observedRequest(request)),
      ...shared,
    }),
  );
  const scheduler = openScheduler({
    cron,
    queue,
    records,
    log,
    forgetful: link === undefined,
    onMissed: (mirror) => observers.notify({ kind: "missed", mirror }),
  });
  const streamWatch = openStreamWatch({
    requestCheck: (...asked) => scheduler.requestCheck(...asked),
    log,
    now,
    ...options.streamWatch,
  });
  const follow = ({ mirrors }: Config): void => {
    if (!schedules) return;
    scheduler.follow(mirrors);
    streamWatch.follow(activeConfigs.current());
  };
  const configWatcher = await openConfigWatcher({
    load,
    log,
    onChange(config) {
      activeConfigs.replace(config);
      follow(config);
      records.notify({ kind: "config", ok: true }).catch(() => {}); // only to be looked at
    },
    onBroken: () => void records.notify({ kind: "config", ok: false }).catch(() => {}), // as above
  });
  const widths = options.workers ?? first.daemon.workers;
  const workers =
    widths > 0
      ? queue.work(
          (job, turn) =>
            doJob(job, turn, {
              queue,
              records,
              active: activeConfigs.current,
              log,
              now,
              reported: observers,
            }),
          {
            checks: CHECKS,
            applies: widths,
            onBroken: ({ kind, mirror }, error) =>
              log.error(
                { err: error, mirror },
                `a ${kind} of ${mirror} broke; the next check takes it up again`,
              ),
          },
        )
      : undefined;
  follow(first);
  const stopping = new AbortController();
  const view = openView({
    cron,
    records,
    queue,
    scheduler,
    streamWatch,
    configWatcher,
    link,
    observers,
    log,
    activeConfigs,
    version: options.version,
    workers: widths,
    stopping: stopping.signal,
  });
  return {
    view,
    config: configWatcher.current,
    async stop({ signal }) {
      stopping.abort();
      scheduler[Symbol.dispose]();
      streamWatch[Symbol.dispose]();
      configWatcher[Symbol.dispose]();
      await endWork(workers, signal);
      await atMost(CLOSING_MS, Promise.all([activeConfigs.close(), queue[Symbol.asyncDispose]()]));
      await shares.remembering?.[Symbol.asyncDispose]();
    },
  };
}

/** A lease is no longer a dead worker's than its job is. */
function leaseOptions({ lockMs }: DaemonOptions): LeaseOptions {
  return lockMs === undefined ? {} : { holdMs: lockMs };
}

type Shared = {
  readonly link: RedisLink | undefined;
  readonly queue: Queue;
  readonly records: Records;
  /** What the records need until the end. */
  readonly remembering: AsyncDisposable | undefined;
};

async function openShared(
  { daemon }: Config,
  log: Log,
  { now, lockMs }: { readonly now: () => Date; readonly lockMs: number | undefined },
): Promise<Shared> {
  if (!daemon.redis) {
    const file = daemon.stateFile === undefined ? undefined : await fileStateStore(daemon.stateFile, { log });
    const records = openRecords(file ?? inProcessStateStore(), { now });
    return { link: undefined, queue: inProcessQueue(), records, remembering: file };
  }
  const link = openRedis(daemon.redis, log);
  // without it the daemon runs and is not ready: Redis may come later
  await link.settle(CONNECTING_MS);
  const queue = bullQueue(link, { log, ...(lockMs === undefined ? {} : { lockMs }) });
  return { link, queue, records: openRecords(redisStateStore(link), { now }), remembering: link };
}

type OpenRateLimit = (limitsOf: (registry: string) => RateLimits) => RateLimit;

/** One for all activeConfigs: the limits are those of the configuration that was opened last. */
function sharedRateLimit(link: RedisLink): OpenRateLimit {
  let limits: ((registry: string) => RateLimits) | undefined;
  const rateLimit = redisRateLimit(link, (registry) => limits?.(registry) ?? { connections: 1 });
  return (limitsOf) => {
    limits = limitsOf;
    return rateLimit;
  };
}

export type ActiveConfigs = {
  readonly current: () => ActiveConfig;
  replace(config: Config): void;
  close(): Promise<unknown>;
};

/** Work that began under a configuration ends under it; the clients are closed afterwards. */
function openActiveConfigs(first: Config, open: (config: Config) => ActiveConfig["context"]): ActiveConfigs {
  let current = openActiveConfig(first, open(first));
  const retiring = new Set<Promise<void>>();
  const retire = (active: ActiveConfig): void => {
    const ending = active.retire().finally(() => retiring.delete(ending));
    retiring.add(ending);
  };
  return {
    current: () => current,
    replace(config) {
      retire(current);
      current = openActiveConfig(config, open(config));
    },
    close() {
      retire(current);
      return Promise.all(retiring);
    },
  };
}

/** BullMQ waits for Redis when it closes; we wait no longer than we were told. */
async function endWork(workers: Workers | undefined, signal: AbortSignal): Promise<void> {
  if (!workers) return;
  const { promise: given, resolve: giveUp } = Promise.withResolvers<void>();
  const soon = (): void => void setTimeout(giveUp, CLOSING_MS);
  if (signal.aborted) soon();
  signal.addEventListener("abort", soon, { once: true });
  await Promise.race([workers.close({ signal }), given]);
}

async function atMost(timeoutMs: number, task: Promise<unknown>): Promise<void> {
  await Promise.race([task, new Promise((resolve) => setTimeout(resolve, timeoutMs).unref())]);
}

export type ViewParts = {
  readonly cron: Cron;
  readonly records: Records;
  readonly queue: Queue;
  readonly scheduler: Scheduler;
  readonly streamWatch: StreamWatch;
  readonly configWatcher: ConfigWatcher;
  readonly link: RedisLink | undefined;
  readonly observers: Observers;
  readonly activeConfigs: ActiveConfigs;
  readonly log: Log;
  readonly version: string;
  readonly workers: number;
  readonly stopping: AbortSignal;
};
