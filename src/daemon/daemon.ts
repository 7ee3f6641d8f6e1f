import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/file/load.ts";
import type { Log } from "../lib/log.ts";
import { type ContextOptions, openContext } from "../sync/context.ts";
import { openActiveConfigs } from "./active-config.ts";
import { watchConfig } from "./config-watcher.ts";
import type { Workers } from "./queue/queue.ts";
import { openShared } from "./shared.ts";
import { checkSlots } from "./slots.ts";
import { type Clock, SYSTEM_CLOCK } from "./triggers/clock.ts";
import type { DriftTrackerOptions } from "./triggers/drift-tracker.ts";
import { openScheduler } from "./triggers/scheduler.ts";
import { openStreamWatch } from "./triggers/stream-watch.ts";
import { observedRequest, openObservers } from "./view/observers.ts";
import { openView } from "./view/open-view.ts";
import type { DaemonView } from "./view/view.ts";
import { openCancellations } from "./work/cancellations.ts";
import type { WorkerParts } from "./work/parts.ts";
import { doJob } from "./work/work.ts";

export type DaemonOptions = {
  /** The configuration as it was read at the start. */
  readonly first: Loaded;
  /** Reads the configuration again, with every check there is. */
  readonly load: () => Promise<Loaded>;
  readonly env: ContextOptions["env"];
  readonly log: Log;
  readonly version: string;
  /** The number of tags that this process copies at once. Default: from the configuration. */
  readonly workers?: number | undefined;
  /** Whether this process follows schedules. A worker does not. */
  readonly schedules: boolean;
  readonly clock?: Clock;
  /** A worker that does not renew the lock of its job for this long loses the job. */
  readonly lockMs?: number;
  readonly streamWatch?: Pick<DriftTrackerOptions, "settleMs" | "restMs">;
};

/** Mirrors everything until it is stopped: schedule → queue → worker. */
export type Daemon = {
  readonly view: DaemonView;
  readonly config: () => Config;
  /**
   * Takes no new work and waits for running work. When `signal` aborts, unfinished work is given back. Then everything
   * is closed, also while Redis is away.
   */
  stop(options: { readonly signal: AbortSignal }): Promise<void>;
};

/** Several workers write to one layout in turn. */
const LAYOUT_TURNS = { idleMs: 200, patienceMs: 1_000 };
/** How long closing may take after the work has ended. */
const CLOSING_MS = 2_000;

export async function openDaemon(options: DaemonOptions): Promise<Daemon> {
  const { first, log, env, load, schedules, clock = SYSTEM_CLOCK } = options;
  const observers = openObservers(log);
  const now = (): Date => clock.now();
  const shared = await openShared(first.config, log, { now, lockMs: options.lockMs });
  const { link, queue, records } = shared;
  const activeConfigs = openActiveConfigs({
    first,
    load,
    log,
    now,
    open: (config) =>
      openContext({
        config,
        env,
        log,
        layoutTurns: LAYOUT_TURNS,
        proofs: records.proofs,
        onRequest: (request) => observers.notify(observedRequest(request)),
        ...shared.limits,
      }),
    onChange() {
      follow();
      records.notify({ kind: "config", ok: true }).catch(() => {}); // only for display
    },
    onBroken: () => void records.notify({ kind: "config", ok: false }).catch(() => {}), // as above
  });
  const scheduler = openScheduler({
    clock,
    queue,
    records,
    log,
    forgetful: link === undefined,
    onMissed: (mirror) => observers.notify({ kind: "missed", mirror }),
  });
  const streamWatch = openStreamWatch({
    requestCheck: scheduler.requestCheck,
    isOpen: (mirror) => records.runs.isOpen(mirror),
    log,
    now,
    ...options.streamWatch,
  });
  function follow(): void {
    if (!schedules) return;
    scheduler.follow(activeConfigs.current().config.mirrors);
    streamWatch.follow(activeConfigs.current());
  }
  const cancellations = openCancellations((onEvent) => records.subscribe(onEvent));
  const copies = options.workers ?? first.config.daemon.workers;
  const workers = startWork(copies, {
    queue,
    records,
    active: activeConfigs.current,
    requestCheck: scheduler.requestCheck,
    log,
    now,
    reported: observers,
    cancellations,
  });
  follow();
  const configWatcher = watchConfig({ file: first.config.file, onChange: activeConfigs.reload });
  const stopping = new AbortController();
  const view = openView({
    clock,
    records,
    queue,
    scheduler,
    streamWatch,
    link,
    observers,
    log,
    activeConfigs,
    version: options.version,
    workers: copies,
    stopping: stopping.signal,
  });
  return {
    view,
    config: () => activeConfigs.current().config,
    async stop({ signal }) {
      stopping.abort();
      scheduler[Symbol.dispose]();
      streamWatch[Symbol.dispose]();
      configWatcher[Symbol.dispose]();
      await endWork(workers, signal);
      cancellations[Symbol.dispose]();
      await atMost(CLOSING_MS, Promise.all([activeConfigs.close(), queue[Symbol.asyncDispose]()]));
      await shared.store?.[Symbol.asyncDispose]();
    },
  };
}

function startWork(copies: number, parts: WorkerParts): Workers | undefined {
  if (copies === 0) return undefined;
  return parts.queue.work((job, turn) => doJob(job, turn, parts), {
    checks: () => checkSlots(parts.active().config),
    applies: copies,
    onBroken: ({ kind, mirror }, error) =>
      parts.log.error(
        { err: error, mirror },
        `a ${kind} of ${mirror} was interrupted; the next check does the work again`,
      ),
  });
}

/** BullMQ waits for Redis when it closes. We do not wait longer than the caller allows. */
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
