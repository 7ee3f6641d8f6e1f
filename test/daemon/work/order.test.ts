import * as fc from "fast-check";
import { expect, test } from "vitest";

import type { Config } from "../../../src/config/config.ts";
import { DEFAULT_DAEMON } from "../../../src/config/daemon.ts";
import { openActiveConfigs } from "../../../src/daemon/active-config.ts";
import { inProcessQueue } from "../../../src/daemon/queue/in-process.ts";
import type { Queue } from "../../../src/daemon/queue/queue.ts";
import { openRecords, type Records } from "../../../src/daemon/records/records.ts";
import { inProcessStateStore } from "../../../src/daemon/state/state-store.ts";
import type { CheckRequest } from "../../../src/daemon/triggers/scheduler.ts";
import { openCancellations } from "../../../src/daemon/work/cancellations.ts";
import type { WorkerParts } from "../../../src/daemon/work/parts.ts";
import { doJob } from "../../../src/daemon/work/work.ts";
import { type Context, openContext } from "../../../src/sync/context.ts";
import { mirrorOf } from "../../plan/mirror.ts";
import { buildImage } from "../../support/images/images.ts";
import { type MemoryStore, memoryStore } from "../../support/memory-store.ts";
import { SILENT } from "../../support/registry/client.ts";

const TAG = "latest";
const IMAGES = [0, 1, 2, 3].map((seed) => buildImage({ seed: `order-${seed}`, layers: [50] }));
const place = (repository: string) => ({ kind: "registry", registry: "r.example", repository }) as const;
const MIRROR = mirrorOf({
  name: "app",
  source: place("a/source"),
  target: place("a/target"),
  tags: { kind: "exact", tags: [TAG] },
  referrers: false,
});
const CONFIG: Config = {
  file: "/tagferry.yaml",
  registries: [],
  cluster: {},
  mirrors: [MIRROR],
  daemon: DEFAULT_DAEMON,
  fingerprint: "one",
};

/** Every request to source and target waits here until the test releases it. */
type Requests = {
  readonly waiting: (() => void)[];
  /** Slow requests: they continue when no other request is left. */
  readonly stalled: (() => void)[];
  hold(store: MemoryStore): void;
};

function openRequests(): Requests {
  const waiting: (() => void)[] = [];
  return {
    waiting,
    stalled: [],
    hold: (store) => store.before(() => new Promise((resolve) => void waiting.push(resolve))),
  };
}

type World = {
  readonly source: MemoryStore;
  readonly target: MemoryStore;
  readonly requests: Requests;
  readonly parts: WorkerParts | undefined;
  /** The process that checks the mirror. */
  readonly ask: (process: number) => Promise<unknown>;
  readonly idle: () => Promise<boolean>;
};

/**
 * `processes`: each has a queue of its own and they share their records. More than one is worse than any real
 * installation: two workers do the same tag at once, and both believe that they hold its lock.
 */
function openWorld(processes: number, { tickMs = -60_000 }: { readonly tickMs?: number } = {}): World {
  const [source, target] = [memoryStore({ name: "source" }), memoryStore({ name: "target" })];
  const requests = openRequests();
  requests.hold(source);
  requests.hold(target);
  // a clock that goes back by default
  let clockMs = Date.parse("2026-03-01T12:00:00Z");
  const now = (): Date => new Date((clockMs += tickMs));
  const records = openRecords(inProcessStateStore(), { now });
  const context: Context = {
    ...openContext({ config: CONFIG, env: {}, log: SILENT }),
    source: async () => source,
    target: async () => target,
  };
  let asked = 0;
  const queues = Array.from({ length: processes }, () =>
    startProcess(records, context, now, () => (asked += 1)),
  );
  return {
    source,
    target,
    requests,
    parts: queues[0]?.parts,
    ask: (process) => queues[process % processes]?.requestCheck("app", "asked") ?? Promise.resolve(),
    async idle() {
      const counts = await Promise.all(queues.map(({ queue }) => queue.counts()));
      return counts.every(({ active, waiting, delayed }) => active + waiting + delayed === 0);
    },
  };
}

function startProcess(
  records: Records,
  context: Context,
  now: () => Date,
  number: () => number,
): { readonly queue: Queue; readonly requestCheck: CheckRequest; readonly parts: WorkerParts } {
  const queue = inProcessQueue();
  const requestCheck: CheckRequest = (mirror, cause, { occasion = `asked-${number()}` } = {}) =>
    queue.add({ kind: "check", mirror, run: `${mirror}@${occasion}`, dueAt: now().toISOString(), cause });
  const active = openActiveConfigs({
    first: { config: CONFIG, warnings: [], files: [] },
    load: async () => ({ config: CONFIG, warnings: [], files: [] }),
    open: () => context,
    log: SILENT,
    now,
    onChange: () => {},
    onBroken: () => {},
  });
  const parts: WorkerParts = {
    queue,
    records,
    active: active.current,
    requestCheck,
    log: SILENT,
    now,
    reported: {},
    cancellations: openCancellations(() => ({ [Symbol.dispose]: () => {} })),
  };
  queue.work((job, turn) => doJob(job, turn, parts), {
    checks: () => 4,
    applies: 4,
    onBroken: (_job, error) => {
      throw error;
    },
  });
  return { queue, requestCheck, parts };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Step =
  | { readonly kind: "move"; readonly image: number }
  | { readonly kind: "ask"; readonly process: number }
  | { readonly kind: "go"; readonly which: number }
  | { readonly kind: "stall"; readonly which: number };

async function take(step: Step, { source, requests, ask }: World): Promise<void> {
  switch (step.kind) {
    case "move": {
      const image = IMAGES[step.image % IMAGES.length];
      if (image) source.seed(image, TAG);
      return;
    }
    case "ask":
      await ask(step.process);
      break;
    case "go": {
      const [go] = requests.waiting.splice(step.which % Math.max(1, requests.waiting.length), 1);
      go?.();
      break;
    }
    case "stall":
      requests.stalled.push(...requests.waiting.splice(step.which % Math.max(1, requests.waiting.length), 1));
  }
  await turn();
}

/** Releases the requests in the order of these numbers, until nothing is under way. */
async function drain(world: World, order: readonly number[]): Promise<void> {
  for (let at = 0; at < 20_000; at += 1) {
    const { waiting, stalled } = world.requests;
    if (waiting.length === 0 && (await world.idle())) return;
    if (waiting.length === 0) waiting.push(...stalled.splice(0, 1));
    await take({ kind: "go", which: order[at % order.length] ?? 0 }, world);
  }
  throw new Error("it never came to rest");
}

const step = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("move" as const), image: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("ask" as const), process: fc.nat(1) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("go" as const), which: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stall" as const), which: fc.nat(7) }) },
);

const RUNS = Number(process.env["ORDER_RUNS"] ?? 250);

const INSTALLATIONS: readonly { readonly who: string; readonly processes: number }[] = [
  { who: "one process", processes: 1 },
  { who: "two processes that both believe that a tag is theirs", processes: 2 },
];

test.for(INSTALLATIONS)(
  "whatever comes first, no tag is behind its source in the end: $who",
  { timeout: 120_000 },
  async ({ processes }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.array(fc.nat(7), { minLength: 1, maxLength: 40 }),
        async (steps, order) => {
          const world = openWorld(processes);
          for (const one of [{ kind: "move", image: 0 } as const, ...steps]) await take(one, world);
          // one check follows the last move, in one of the processes
          await world.ask(steps.length);
          await drain(world, order);
          expect(world.target.tags.get(TAG)).toBe(world.source.tags.get(TAG));
          expect(world.target.missing(TAG)).toEqual([]);
        },
      ),
      { numRuns: RUNS, seed: 20_260_301 },
    );
  },
);

const published = ({ target }: World): string[] =>
  target.calls.flatMap(({ operation, reference, tag }) =>
    operation === "pushManifest" && tag === TAG ? [reference] : [],
  );
const digestOf = (image: number): string => IMAGES[image]?.manifest.digest ?? "";

/** `stands still`: the plan stays so young that the source is not asked again, and only the readings tell the order. */
test.for([
  ["goes back", -60_000],
  ["stands still", 0],
] as const)(
  "an image that was read earlier is not published after one that was read later: the clock %s",
  async ([, tickMs]) => {
    const world = openWorld(2, { tickMs });
    await take({ kind: "move", image: 2 }, world);
    await world.ask(0);
    // the first process copies image 2 slowly
    while (world.target.count("look") === 0) await take({ kind: "go", which: 0 }, world);
    world.requests.stalled.push(...world.requests.waiting.splice(0));
    await take({ kind: "move", image: 3 }, world);
    await world.ask(1);
    await drainUntil(world, () => world.target.tags.get(TAG) === digestOf(3));
    for (let at = 0; at < 20 && world.requests.waiting.length > 0; at += 1)
      await take({ kind: "go", which: 0 }, world);
    await drain(world, [0]);
    expect(published(world)).toEqual([digestOf(3)]);
  },
);

test("a job that was read earlier than what is published costs no request", async () => {
  const world = openWorld(1);
  await take({ kind: "move", image: 3 }, world);
  await world.ask(0);
  await drain(world, [0]);
  const before = world.source.calls.length + world.target.calls.length;
  const old = IMAGES[2]?.manifest;
  if (!world.parts || !old) throw new Error("no world");
  const action = {
    kind: "create",
    mirror: "app",
    tag: TAG,
    from: { source: "r.example/a/source", tag: TAG },
    readAt: "2026-03-01T00:00:00.000Z",
    image: { digest: old.digest, mediaType: old.mediaType, size: old.bytes.length },
    takeover: false,
    reason: "new",
  } as const;
  await doJob(
    { kind: "apply", mirror: "app", run: "old", reading: 1, plannedAt: action.readAt, actions: [action] },
    { signal: new AbortController().signal, attempt: 0, assertStillOurs: async () => {} },
    world.parts,
  );
  expect(world.source.calls.length + world.target.calls.length).toBe(before);
  expect(world.target.tags.get(TAG)).toBe(digestOf(3));
});

async function drainUntil(world: World, condition: () => boolean): Promise<void> {
  for (let at = 0; at < 1_000 && !condition(); at += 1) await take({ kind: "go", which: 0 }, world);
}
