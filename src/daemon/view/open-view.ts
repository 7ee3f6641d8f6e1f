import { EventEmitter, on } from "node:events";

import type { Config, Mirror, RegistrySettings } from "../../config/config.ts";
import { targetName } from "../../config/target-name.ts";
import type { Failure } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { formatLocation } from "../../oci/reference.ts";
import type { ActiveConfigs } from "../active-config.ts";
import type { Queue } from "../queue/queue.ts";
import type {
  DaemonEvent,
  MirrorRecord,
  Progress,
  Quarantine,
  Run,
  TagRecord,
} from "../records/record-types.ts";
import type { Records } from "../records/records.ts";
import type { RedisLink } from "../redis/connection.ts";
import type { Clock } from "../triggers/clock.ts";
import type { Scheduler } from "../triggers/scheduler.ts";
import type { StreamWatch } from "../triggers/stream-watch.ts";
import type { Observers } from "./observers.ts";
import type { RateLimitStatus, DaemonView, Health, MirrorState, MirrorStatus } from "./view.ts";

const RUNS_SHOWN = 50;
/** A check that ends within this time after its due time (and jitter) is in time. */
const LATE_AFTER_MS = 120_000;

export type ViewParts = {
  readonly clock: Clock;
  readonly records: Records;
  readonly queue: Queue;
  readonly scheduler: Scheduler;
  readonly streamWatch: StreamWatch;
  readonly link: RedisLink | undefined;
  readonly observers: Observers;
  readonly activeConfigs: ActiveConfigs;
  readonly log: Log;
  readonly version: string;
  readonly workers: number;
  readonly stopping: AbortSignal;
};

/** What a running daemon shows and takes, from its parts. */
export function openView(parts: ViewParts): DaemonView {
  const { records, scheduler, activeConfigs, observers, clock, log, queue, link } = parts;
  const startedAt = clock.now().toISOString();
  const config = (): Config => activeConfigs.current().config;
  const mirrorOf = (name: string): Mirror | undefined =>
    config().mirrors.find((mirror) => mirror.name === name);

  const mirrorsReading = (repository: string): readonly string[] =>
    config()
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
      now: clock.now(),
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
    log.info({ audit: what, mirror: name, by, config: config().fingerprint }, `${what} of ${name} by ${by}`);
    return true;
  }

  return {
    health: () => healthOf(parts, startedAt),
    async mirrors() {
      const facts = await shared();
      return Promise.all(config().mirrors.map((mirror) => statusOf(mirror, facts)));
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
      const names = mirror === undefined ? config().mirrors.map(({ name }) => name) : [mirror];
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
        if (!signal?.aborted) throw error; // the reader went away
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
    const failure = activeConfigs.failure();
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
        file: config().file,
        fingerprint: config().fingerprint,
        loadedAt: activeConfigs.current().loadedAt.toISOString(),
        ...(failure ? { failure } : {}),
      },
      ...(redis ? { redis } : {}),
      ...(jobs ? { jobs } : {}),
      streamWatches: parts.streamWatch.states(),
      rateLimits: await Promise.all(config().registries.map(rateLimitStatus)),
    };
  }

  async function rateLimitStatus({
    registry,
    connections,
    requestsPerSecond,
  }: RegistrySettings): Promise<RateLimitStatus> {
    const pullsLeft = observers.pullsLeft(registry);
    const { context } = activeConfigs.current();
    // when Redis is away, the page says so elsewhere
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
  const failure = record.retrying?.failure ?? facts.lastRun?.failure;
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
    ...lastingOf(record),
    ...reasonOf(record, tags, failure),
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

function lastingOf({ retrying: _, ...lasting }: MirrorRecord): Omit<MirrorRecord, "retrying"> {
  return lasting;
}

/** Why it fails: the attempt that is made again, else the mirror as a whole, else its first tag that failed. */
function reasonOf(
  { retrying }: MirrorRecord,
  tags: readonly TagRecord[],
  failure: Failure | undefined,
): { readonly reason?: string } {
  if (retrying) {
    const { attempt, nextAt } = retrying;
    return {
      reason: `attempt ${attempt} failed (${wordsOf(retrying.failure)}); the next one is at ${nextAt}`,
    };
  }
  if (failure) return { reason: wordsOf(failure) };
  const failed = tags.find((tag) => tag.failure);
  return failed?.failure ? { reason: `tag ${failed.tag}: ${wordsOf(failed.failure)}` } : {};
}

const wordsOf = ({ code, message }: Failure): string => `${code}: ${message}`;

function rateOf({ bytes, startedAt, at }: Progress): number {
  const seconds = (Date.parse(at) - Date.parse(startedAt)) / 1000;
  return seconds > 0 ? Math.round(bytes / seconds) : 0;
}

/** Seconds since the last due time, if no run has ended after it. */
function lateness({ schedule }: Mirror, { lastDueAt, lastRunAt }: MirrorRecord, now: Date): number {
  if (!schedule || lastDueAt === undefined) return 0;
  if (lastRunAt !== undefined && lastRunAt >= lastDueAt) return 0;
  return Math.max(0, Math.floor((now.getTime() - Date.parse(lastDueAt) - schedule.jitterMs) / 1000));
}

function stateOf(
  { pausedAt, failingSince, lastRunAt, retrying }: MirrorRecord,
  facts: { readonly latenessS: number; readonly running: boolean; readonly quarantined: boolean },
): MirrorState {
  if (pausedAt !== undefined) return "paused";
  if (facts.running) return "running";
  if (facts.quarantined) return "quarantined";
  if (failingSince !== undefined || retrying) return "failing";
  if (facts.latenessS * 1000 > LATE_AFTER_MS) return "late";
  return lastRunAt === undefined ? "waiting" : "fresh";
}
