import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/load.ts";
import type { Log } from "../lib/log.ts";
import type { Allowance, AllowanceLimits } from "../oci/allowance.ts";
import { type ContextOptions, openContext } from "../sync/context.ts";
import { redisAllowance } from "./allowance-redis.ts";
import { type Cron, nodeCron } from "./cron.ts";
import type { DriftBookOptions } from "./drift-book.ts";
import { type Generation, openGeneration } from "./generation.ts";
import { type LeaseOptions, redisLease } from "./lease-redis.ts";
import { type LivingConfig, openLivingConfig } from "./living-config.ts";
import { observedRequest, type Observers, openObservers } from "./observers.ts";
import { bullQueue } from "./queue-bullmq.ts";
import { inProcessQueue } from "./queue-in-process.ts";
import type { Queue, Workers } from "./queue.ts";
import { openRecords, type Records } from "./records.ts";
import { openRedis, type RedisLink } from "./redis.ts";
import { openScheduler, type Scheduler } from "./schedule.ts";
import { fileShelf } from "./shelf-file.ts";
import { redisShelf } from "./shelf-redis.ts";
import { inProcessShelf } from "./shelf.ts";
import { openView } from "./show.ts";
import { openStreamWatch, type StreamWatch } from "./stream-watch.ts";
import type { DaemonView } from "./view.ts";
import { doJob } from "./worker.ts";

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
  readonly streamWatch?: Pick<DriftBookOptions, "settleMs" | "restMs">;
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
 * @throws {SyncError} CONFIG_* when there is no good configuration to begin with
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
    ? { lease: redisLease(link, leaseOptions(options)), openAllowance: sharedAllowance(link) }
    : {};
  const generations = openGenerations(first, (config) =>
    openContext({
      config,
      env,
      log,
      layoutTurns: LAYOUT_TURNS,
      onRequest: (request) => observers.tell(observedRequest(request)),
      ...shared,
    }),
  );
  const scheduler = openScheduler({
    cron,
    queue,
    records,
    log,
    forgetful: link === undefined,
    onMissed: (mirror) => observers.tell({ kind: "missed", mirror }),
  });
  const streamWatch = openStreamWatch({
    demand: (...asked) => scheduler.demand(...asked),
    log,
    now,
    ...options.streamWatch,
  });
  const follow = ({ mirrors }: Config): void => {
    if (!schedules) return;
    scheduler.follow(mirrors);
    streamWatch.follow(generations.current());
  };
  const living = await openLivingConfig({
    load,
    log,
    onChange(config) {
      generations.replace(config);
      follow(config);
      records.tell({ kind: "config", ok: true }).catch(() => {}); // only to be looked at
    },
    onBroken: () => void records.tell({ kind: "config", ok: false }).catch(() => {}), // as above
  });
  const widths = options.workers ?? first.daemon.workers;
  const workers =
    widths > 0
      ? queue.work(
          (job, turn) =>
            doJob(job, turn, {
              queue,
              records,
              generation: generations.current,
              log,
              now,
              told: observers,
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
    living,
    link,
    observers,
    log,
    generations,
    version: options.version,
    workers: widths,
    stopping: stopping.signal,
  });
  return {
    view,
    config: living.current,
    async stop({ signal }) {
      stopping.abort();
      scheduler[Symbol.dispose]();
      streamWatch[Symbol.dispose]();
      living[Symbol.dispose]();
      await endWork(workers, signal);
      await atMost(CLOSING_MS, Promise.all([generations.close(), queue[Symbol.asyncDispose]()]));
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
    const file = daemon.stateFile === undefined ? undefined : await fileShelf(daemon.stateFile, { log });
    const records = openRecords(file ?? inProcessShelf(), { now });
    return { link: undefined, queue: inProcessQueue(), records, remembering: file };
  }
  const link = openRedis(daemon.redis, log);
  // without it the daemon runs and is not ready: Redis may come later
  await link.settle(CONNECTING_MS);
  const queue = bullQueue(link, { log, ...(lockMs === undefined ? {} : { lockMs }) });
  return { link, queue, records: openRecords(redisShelf(link), { now }), remembering: link };
}

type OpenAllowance = (limitsOf: (registry: string) => AllowanceLimits) => Allowance;

/** One for all generations: the limits are those of the configuration that was opened last. */
function sharedAllowance(link: RedisLink): OpenAllowance {
  let limits: ((registry: string) => AllowanceLimits) | undefined;
  const allowance = redisAllowance(link, (registry) => limits?.(registry) ?? { connections: 1 });
  return (limitsOf) => {
    limits = limitsOf;
    return allowance;
  };
}

export type Generations = {
  readonly current: () => Generation;
  replace(config: Config): void;
  close(): Promise<unknown>;
};

/** Work that began under a configuration ends under it; the clients are closed afterwards. */
function openGenerations(first: Config, open: (config: Config) => Generation["context"]): Generations {
  let current = openGeneration(first, open(first));
  const retiring = new Set<Promise<void>>();
  const retire = (generation: Generation): void => {
    const ending = generation.retire().finally(() => retiring.delete(ending));
    retiring.add(ending);
  };
  return {
    current: () => current,
    replace(config) {
      retire(current);
      current = openGeneration(config, open(config));
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
  readonly living: LivingConfig;
  readonly link: RedisLink | undefined;
  readonly observers: Observers;
  readonly generations: Generations;
  readonly log: Log;
  readonly version: string;
  readonly workers: number;
  readonly stopping: AbortSignal;
};
