import { EventEmitter, on } from "node:events";

import type { Config, Mirror } from "../../config/config.ts";
import type { Log } from "../../lib/log.ts";
import { formatLocation } from "../../oci/reference.ts";
import { openTarget } from "../../sync/targets/open.ts";
import type { ActiveConfigs } from "../active-config.ts";
import type { Queue } from "../queue/queue.ts";
import type { DaemonEvent } from "../records/record-types.ts";
import type { Records } from "../records/records.ts";
import type { RedisLink } from "../redis/connection.ts";
import type { Clock } from "../triggers/clock.ts";
import type { Scheduler } from "../triggers/scheduler.ts";
import type { StreamWatch } from "../triggers/stream-watch.ts";
import { healthOf, pausesNow } from "./health.ts";
import { type SharedFacts, statusOf } from "./mirror-status.ts";
import type { Observers } from "./observers.ts";
import type { DaemonView, MirrorStatus } from "./view.ts";

const RUNS_SHOWN = 50;

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

/** Opens the view of a running daemon. */
export function openView(parts: ViewParts): DaemonView {
  const { records, scheduler, activeConfigs, observers, clock, log, queue } = parts;
  const startedAt = clock.now().toISOString();
  const config = (): Config => activeConfigs.current().config;
  const mirrorOf = (name: string): Mirror | undefined => activeConfigs.current().mirror(name);

  const mirrorsReading = (repository: string): readonly string[] =>
    config()
      .mirrors.filter(({ source }) => source.kind === "registry" && formatLocation(source) === repository)
      .map(({ name }) => name);

  async function status(mirror: Mirror, shared: SharedFacts): Promise<MirrorStatus> {
    const [record, tags, recent, [run]] = await Promise.all([
      records.mirrors.read(mirror.name),
      records.tags.of(mirror.name),
      records.runs.marks(mirror.name),
      records.runs.underWay(mirror.name),
    ]);
    const [next] = scheduler.next(mirror, 1);
    const target = openTarget(mirror, activeConfigs.current().context);
    return statusOf(mirror, { ...shared, target, record, tags, recent, run, next, now: clock.now() });
  }

  const shared = async (): Promise<SharedFacts> => {
    const [underWay, quarantined, pauses] = await Promise.all([
      records.progress.underWay(),
      records.crashes.quarantined(),
      pausesNow(activeConfigs.current().context, registriesKnown()),
    ]);
    return { underWay, quarantined, pauses };
  };

  const registriesKnown = (): readonly string[] => [
    ...new Set([...config().registries.map(({ registry }) => registry), ...observers.registries()]),
  ];

  async function act(name: string, what: string, by: string, task: () => Promise<unknown>): Promise<boolean> {
    if (!mirrorOf(name)) return false;
    await task();
    log.info({ audit: what, mirror: name, by, config: config().fingerprint }, `${what} of ${name} by ${by}`);
    return true;
  }

  return {
    health: () => healthOf({ ...parts, startedAt, registries: registriesKnown() }),
    async mirrors() {
      const facts = await shared();
      return Promise.all(config().mirrors.map((mirror) => status(mirror, facts)));
    },
    async mirror(name) {
      const mirror = mirrorOf(name);
      if (!mirror) return undefined;
      const [found, tags, finished, underWay, day] = await Promise.all([
        status(mirror, await shared()),
        records.tags.of(name),
        records.runs.of(name),
        records.runs.underWay(name),
        records.days.of(name),
      ]);
      const open = await Promise.all(underWay.map(({ id }) => records.runs.read(id)));
      return { mirror: found, tags, runs: [...open.filter((run) => run !== undefined), ...finished], day };
    },
    day: () => records.days.of(),
    has: (name) => mirrorOf(name) !== undefined,
    async runs({ mirror, limit = RUNS_SHOWN } = {}) {
      if (mirror !== undefined) return records.runs.of(mirror, limit);
      const recent = await records.runs.recent(limit);
      return recent.filter((run) => mirrorOf(run.mirror) !== undefined);
    },
    async *events({ signal } = {}) {
      const emitter = new EventEmitter();
      using _ = records.subscribe((event) => emitter.emit("event", event));
      try {
        for await (const [event] of on(emitter, "event", signal ? { signal } : {}))
          yield event as DaemonEvent;
      } catch (error) {
        if (!signal?.aborted) throw error; // otherwise the reader has left
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
    cancel: (name, by) =>
      act(name, "cancel", by, async () => {
        const runs = await records.runs.cancel(name);
        await queue.drop(name);
        await records.notify({ kind: "cancel", mirror: name, runs });
        for (const progress of await records.progress.underWay())
          if (progress.mirror === name) await records.progress.end(progress);
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
}
