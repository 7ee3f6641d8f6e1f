import { on } from "node:events";
import { EventEmitter } from "node:events";

import type { Mirror, RegistrySettings } from "../../config/config.ts";
import { targetName } from "../../config/target-name.ts";
import { formatLocation } from "../../oci/reference.ts";
import type { ViewParts } from "../daemon.ts";
import type {
  DaemonEvent,
  MirrorRecord,
  Progress,
  Quarantine,
  Run,
  TagRecord,
} from "../records/record-types.ts";
import type { RateLimitStatus, DaemonView, Health, MirrorState, MirrorStatus } from "./view.ts";

const RUNS_SHOWN = 50;
/** A check that ends within this of its due time (and jitter) is in time. */
const LATE_AFTER_MS = 120_000;

/** What a running daemon shows and takes, from its parts. */
export function openView(parts: ViewParts): DaemonView {
  const { records, scheduler, configWatcher, observers, cron, log, queue, link } = parts;
  const startedAt = cron.now().toISOString();
  const mirrorOf = (name: string): Mirror | undefined =>
    configWatcher.current().mirrors.find((mirror) => mirror.name === name);

  const mirrorsReading = (repository: string): readonly string[] =>
    configWatcher
      .current()
      .mirrors.filter(({ source }) => source.kind === "registry" && formatLocation(source) === repository)
      .map(({ name }) => name);

  async function statusOf(mirror: Mirror, shared: SharedFacts): Promise<MirrorStatus> {
    const [record, tags, runs] = await Promise.all([
      records.mirrors.read(mirror.name),
      records.tags.of(mirror.name),
      records.runs.of(mirror.name),
    ]);
    const [next] = scheduler.next(mirror, 1);
    return describe(mirror, {
      ...shared,
      record,
      tags,
      lastRun: runs[0],
      next,
      now: cron.now(),
    });
  }

  const shared = async (): Promise<SharedFacts> => {
    const [underWay, quarantined] = await Promise.all([
      records.progress.underWay(),
      records.crashes.quarantined(),
    ]);
    return { underWay, quarantined };
  };

  async function act(name: string, what: string, by: string, task: () => Promise<unknown>): Promise<boolean> {
    if (!mirrorOf(name)) return false;
    await task();
    log.info(
      { audit: what, mirror: name, by, config: configWatcher.current().fingerprint },
      `${what} of ${name} by ${by}`,
    );
    return true;
  }

  return {
    health: () => healthOf(parts, startedAt),
    async mirrors() {
      const facts = await shared();
      return Promise.all(configWatcher.current().mirrors.map((mirror) => statusOf(mirror, facts)));
    },
    async mirror(name) {
      const mirror = mirrorOf(name);
      if (!mirror) return undefined;
      const [status, tags, runs] = await Promise.all([
        statusOf(mirror, await shared()),
        records.tags.of(name),
        records.runs.of(name),
      ]);
      return { mirror: status, tags, runs };
    },
    async runs({ mirror, limit = RUNS_SHOWN } = {}) {
      const names = mirror === undefined ? configWatcher.current().mirrors.map(({ name }) => name) : [mirror];
      const all = (await Promise.all(names.map((name) => records.runs.of(name)))).flat();
      return all.toSorted((one, other) => other.startedAt.localeCompare(one.startedAt)).slice(0, limit);
    },
    async *events({ signal } = {}) {
      const emitter = new EventEmitter();
      using _ = records.subscribe((event) => emitter.emit("event", event));
      try {
        for await (const [event] of on(emitter, "event", signal ? { signal } : {}))
          yield event as DaemonEvent;
      } catch (error) {
        if (!signal?.aborted) throw error; // who looked on went away
      }
    },
    async sync(name, by) {
      let answer: "queued" | "duplicate" | undefined;
      await act(name, "sync", by, async () => {
        answer = await scheduler.requestCheck(name, "asked");
      });
      return answer;
    },
    pause: (name, by) => act(name, "pause", by, () => records.mirrors.pause(name, by)),
    resume: (name, by) => act(name, "resume", by, () => records.mirrors.resume(name)),
    retry: (name, by) =>
      act(name, "retry", by, async () => {
        await records.crashes.release(name);
        await scheduler.requestCheck(name, "retry");
      }),
    async pushNotice({ repository, at }) {
      const names = mirrorsReading(repository);
      await Promise.all(names.map((name) => scheduler.requestCheck(name, "webhook", { movedAt: at })));
      return names;
    },
    mirrorsReading,
    sessions: records.sessions,
    observe: (listener) => observers.listen(listener),
  };

  async function healthOf({ version, workers, stopping }: ViewParts, since: string): Promise<Health> {
    const failure = configWatcher.failure();
    const redis = link?.state();
    const reasons = [
      ...(stopping.aborted ? ["stopping"] : []),
      ...(redis && redis.kind !== "up" ? [`redis: ${redis.reason}`] : []),
    ];
    const jobs = await queue.counts().catch(() => undefined);
    return {
      version,
      startedAt: since,
      ready: reasons.length === 0,
      reasons,
      workers,
      config: {
        file: configWatcher.current().file,
        fingerprint: configWatcher.current().fingerprint,
        loadedAt: configWatcher.loadedAt().toISOString(),
        ...(failure ? { failure } : {}),
      },
      ...(redis ? { redis } : {}),
      ...(jobs ? { jobs } : {}),
      streamWatches: parts.streamWatch.states(),
      rateLimits: await Promise.all(configWatcher.current().registries.map(rateLimitStatus)),
    };
  }

  async function rateLimitStatus({
    registry,
    connections,
    requestsPerSecond,
  }: RegistrySettings): Promise<RateLimitStatus> {
    const pullsLeft = observers.pullsLeft(registry);
    const { context } = parts.activeConfigs.current();
    // where Redis is away, the page says so elsewhere
    const inUse = await context.connectionsInUse(registry).catch(() => 0);
    const pausedUntil = await context.pausedUntil(registry).catch(() => undefined);
    return {
      registry,
      connections,
      inUse,
      ...(pausedUntil ? { pausedUntil: pausedUntil.toISOString() } : {}),
      ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
      ...(pullsLeft === undefined ? {} : { pullsLeft }),
    };
  }
}

type SharedFacts = { readonly underWay: readonly Progress[]; readonly quarantined: readonly Quarantine[] };

type MirrorFacts = SharedFacts & {
  readonly record: MirrorRecord;
  readonly tags: readonly TagRecord[];
  readonly lastRun: Run | undefined;
  readonly next: Date | undefined;
  readonly now: Date;
};

function describe(mirror: Mirror, facts: MirrorFacts): MirrorStatus {
  const { name, source, target, storage, schedule } = mirror;
  const { record, tags, next, now } = facts;
  const underWay = facts.underWay.filter((one) => one.mirror === name);
  const quarantined = facts.quarantined.filter((one) => one.mirror === name);
  const failure = facts.lastRun?.failure;
  const latenessS = lateness(mirror, record, now);
  return {
    name,
    source: formatLocation(source),
    target: targetName(target),
    ...(target.kind === "imagestream"
      ? {
          storage: storage.kind === "repository" ? `${storage.registry}/${storage.repository}` : storage.kind,
        }
      : {}),
    ...(schedule ? { schedule } : {}),
    ...record,
    state: stateOf(record, { latenessS, running: underWay.length > 0, quarantined: quarantined.length > 0 }),
    tags: tags.length,
    failedTags: tags.filter(({ failure: failed }) => failed).length,
    latenessS,
    underWay: underWay.map((one) => ({ ...one, bytesPerSecond: rateOf(one) })),
    quarantined,
    ...(next ? { nextRunAt: next.toISOString() } : {}),
    ...(failure ? { failure } : {}),
  };
}

function rateOf({ bytes, startedAt, at }: Progress): number {
  const seconds = (Date.parse(at) - Date.parse(startedAt)) / 1000;
  return seconds > 0 ? Math.round(bytes / seconds) : 0;
}

/** Seconds since the last due time, while no run has ended after it. */
function lateness({ schedule }: Mirror, { lastDueAt, lastRunAt }: MirrorRecord, now: Date): number {
  if (!schedule || lastDueAt === undefined) return 0;
  if (lastRunAt !== undefined && lastRunAt >= lastDueAt) return 0;
  return Math.max(0, Math.floor((now.getTime() - Date.parse(lastDueAt) - schedule.jitterMs) / 1000));
}

function stateOf(
  { pausedAt, failingSince, lastRunAt }: MirrorRecord,
  facts: { readonly latenessS: number; readonly running: boolean; readonly quarantined: boolean },
): MirrorState {
  if (pausedAt !== undefined) return "paused";
  if (facts.running) return "running";
  if (facts.quarantined) return "quarantined";
  if (failingSince !== undefined) return "failing";
  if (facts.latenessS * 1000 > LATE_AFTER_MS) return "late";
  return lastRunAt === undefined ? "waiting" : "fresh";
}
