import { EventEmitter, on } from "node:events";

import type { DaemonEvent, Run, RunMark, TagRecord } from "../../src/daemon/records/record-types.ts";
import { openSessionRecords, type SessionRecords } from "../../src/daemon/records/sessions.ts";
import { inProcessStateStore } from "../../src/daemon/state/state-store.ts";
import type { DaemonView, Health, MirrorStatus, Observation } from "../../src/daemon/view/view.ts";
import type { Failure } from "../../src/errors/error.ts";
import type { Digest } from "../../src/oci/digest.ts";
import type { ActionName } from "../../src/web/api/act.ts";

/** A daemon that does only what a test says: the test sets its state, and calls are recorded. */
export type MemoryView = DaemonView & {
  health: () => Promise<Health>;
  mirrors: () => Promise<readonly MirrorStatus[]>;
  day: DaemonView["day"];
  /** Every repository is mirrored, unless a test says otherwise. */
  mirrorsReading: (repository: string) => readonly string[];
  sessions: SessionRecords;
  readonly asked: readonly Asked[];
  /** The number of pages that are connected now. */
  readonly watchers: () => number;
  /** Who counts what this daemon does. */
  readonly observers: () => number;
  /** Waits until this many pages are connected. */
  watched(count: number): Promise<void>;
  set(
    mirror: MirrorStatus,
    facts?: { readonly tags?: readonly TagRecord[]; readonly runs?: readonly Run[] },
  ): void;
  setHealth(health: Partial<Health>): void;
  /** From now on all calls fail with this error; without an error, calls succeed again. */
  fail(error?: Error): void;
  emit(event: DaemonEvent): void;
  observed(observation: Observation): void;
};

export type Asked =
  | { readonly kind: ActionName; readonly mirror: string; readonly by: string }
  | ({ readonly kind: "hint" } & Parameters<DaemonView["pushNotice"]>[0]);

export function memoryView(): MemoryView {
  const known = new Map<string, { status: MirrorStatus; tags: readonly TagRecord[]; runs: readonly Run[] }>();
  const asked: Asked[] = [];
  const emitter = new EventEmitter();
  const listeners = new Set<(observation: Observation) => void>();
  let health = goodHealth();
  let failing: Error | undefined;
  let watchers = 0;

  async function note(kind: ActionName, mirror: string, by: string): Promise<boolean> {
    if (failing) throw failing;
    asked.push({ kind, mirror, by });
    return known.has(mirror);
  }

  return {
    asked,
    watchers: () => watchers,
    observers: () => listeners.size,
    async watched(count) {
      if (watchers === count) return;
      for await (const [now] of on(emitter, "watchers")) if (now === count) return;
    },
    set: (status, { tags = [], runs = [] } = {}) => void known.set(status.name, { status, tags, runs }),
    setHealth: (change) => void (health = { ...health, ...change }),
    fail: (error) => void (failing = error),
    emit: (event) => void emitter.emit("event", event),
    observed(observation) {
      for (const listener of listeners) listener(observation);
    },
    health: async () => health,
    async mirrors() {
      if (failing) throw failing;
      return [...known.values()].map(({ status }) => status);
    },
    async mirror(name) {
      if (failing) throw failing;
      const found = known.get(name);
      return found && { mirror: found.status, tags: found.tags, runs: found.runs, day: [] };
    },
    has: (name) => known.has(name),
    day: async () => [],
    async runs({ mirror, limit = 50 } = {}) {
      if (failing) throw failing;
      const all = [...known].flatMap(([name, { runs }]) =>
        mirror === undefined || mirror === name ? runs : [],
      );
      return all.slice(0, limit);
    },
    async *events({ signal } = {}) {
      watchers += 1;
      emitter.emit("watchers", watchers);
      try {
        for await (const [event] of on(emitter, "event", signal ? { signal } : {}))
          yield event as DaemonEvent;
      } catch (error) {
        if (!signal?.aborted) throw error;
      } finally {
        watchers -= 1;
        emitter.emit("watchers", watchers);
      }
    },
    sync: async (name, by) => ((await note("sync", name, by)) ? "queued" : undefined),
    pause: (name, by) => note("pause", name, by),
    resume: (name, by) => note("resume", name, by),
    retry: (name, by) => note("retry", name, by),
    cancel: (name, by) => note("cancel", name, by),
    async pushNotice(pushed) {
      if (failing) throw failing;
      asked.push({ kind: "hint", ...pushed });
      return [];
    },
    mirrorsReading: () => ["one"],
    sessions: openSessionRecords(inProcessStateStore(), { now: () => new Date() }),
    observe(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
}

export function goodHealth(): Health {
  return {
    version: "1.2.3",
    startedAt: ago(3 * 86_400),
    ready: true,
    reasons: [],
    config: { file: "/etc/tagferry/tagferry.yaml", fingerprint: "8c1fe5a0b2d94c37", loadedAt: ago(7_200) },
    redis: { kind: "up" },
    jobs: { waiting: 3, active: 2, delayed: 1 },
    workers: 4,
    streamWatches: [{ namespace: "web", kind: "watching", since: ago(7_200) }],
    rateLimits: [
      { registry: "docker.io", connections: 6, inUse: 2, requestsPerSecond: 5, pullsLeft: 71 },
      { registry: "quay.io", connections: 8, inUse: 0 },
    ],
  };
}

/** ISO, so many seconds before now (after it, when negative). */
export function ago(seconds: number): string {
  return new Date(Date.now() - seconds * 1000).toISOString();
}

export function freshMirror(name: string, more: Partial<MirrorStatus> = {}): MirrorStatus {
  const { state = "fresh" } = more;
  return {
    name,
    source: `quay.io/acme/${name}`,
    target: `imagestream:web/${name}`,
    registry: "quay.io",
    namespace: "web",
    pullFrom: `image-registry.openshift-image-registry.svc:5000/web/${name}`,
    storage: "integrated",
    schedule: { cron: "*/30 * * * *", timeZone: "Europe/Berlin", jitterMs: 60_000 },
    state,
    states: [state],
    tags: 3,
    failedTags: 0,
    nextRunAt: ago(-720),
    lastRunAt: ago(1_080),
    lastSuccessAt: ago(1_080),
    latenessS: 0,
    underWay: [],
    quarantined: [],
    recent: [runMark()],
    ...more,
  };
}

export function tagRecord(tag: string, more: Partial<TagRecord> = {}): TagRecord {
  return {
    tag,
    digest: digest("a"),
    publishedAt: ago(86_400 * 3),
    checkedAt: ago(1_080),
    last: "unchanged",
    history: [
      { digest: digest("a"), at: ago(86_400 * 3) },
      { digest: digest("b"), at: ago(86_400 * 40) },
    ],
    ...more,
  };
}

export function runMark(more: Partial<RunMark> = {}): RunMark {
  return {
    id: `a@${ago(1_090)}`,
    cause: "schedule",
    startedAt: ago(1_089),
    finishedAt: ago(1_080),
    state: "done",
    bytes: 0,
    published: 0,
    failed: 0,
    warnings: [],
    ...more,
  };
}

export function finishedRun(mirror: string, more: Partial<Run> = {}): Run {
  return {
    id: `${mirror}@${ago(1_090)}`,
    mirror,
    cause: "schedule",
    dueAt: ago(1_090),
    startedAt: ago(1_089),
    finishedAt: ago(1_080),
    state: "done",
    expected: 1,
    outcomes: [{ kind: "unchanged", digest: digest("a"), mirror, tag: "1.0" }],
    warnings: [],
    ...more,
  };
}

export function failure(more: Partial<Failure> = {}): Failure {
  return {
    code: "RATE_LIMITED",
    message: "docker.io asks us to slow down: 429",
    next: "Wait until the time that is shown; log in, or lower connections and requestsPerSecond.",
    details: { where: "docker.io/acme/api:1.0" },
    ...more,
  };
}

export function digest(digit: string): Digest {
  return `sha256:${digit.repeat(4)}1f3c9a77${digit.repeat(52)}`;
}
