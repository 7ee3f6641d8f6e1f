import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

import { expect, test } from "vitest";

import { type DaemonProcess, startDaemonProcess } from "../support/daemon-process.ts";
import { type DaemonScene, openDaemonScene, until } from "../support/daemon-scene.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { stall } from "../support/registry/connection-faults.ts";

/** Each test starts processes, which takes 25 s and more on a busy machine. Only a hang takes this long. */
const TEST_MS = 180_000;
const PATIENT = { timeoutMs: 60_000 };
const REPOSITORY = "team/app";
const image = (seed: string): BuiltImage => buildImage({ seed, layers: [40_000, 30_000, 20_000] });

type Stage = AsyncDisposable & {
  readonly redis: TestRedis;
  readonly scene: DaemonScene;
  /** A daemon in this process without workers. Tests use it to trigger checks and to read records. */
  readonly daemon: Awaited<ReturnType<DaemonScene["start"]>>;
  worker(options?: { readonly workers?: number }): Promise<DaemonProcess>;
};

async function openStage(
  tags: readonly string[],
  redisOptions: Parameters<typeof startRedis>[0] = {},
): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis(redisOptions));
  const scene = stack.use(await openDaemonScene());
  for (const tag of tags) await pushTo(scene.source, REPOSITORY, image(tag), tag);
  await scene.configure(
    [
      {
        name: "app",
        source: `${scene.source.host}/${REPOSITORY}`,
        target: "imagestream:web/app",
        tags: { all: true },
        referrers: false,
      },
    ],
    { daemon: { redis: redis.url } },
  );
  const daemon = await scene.start({ workers: 0, lockMs: 2_000, schedules: false });
  const owned = stack.move();
  return {
    redis,
    scene,
    daemon,
    worker: async ({ workers = 4 } = {}) =>
      owned.use(await startDaemonProcess({ file: scene.file, workers })),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** This always holds: every tag of the stream points to a complete image. */
function invariants({ cluster, source }: DaemonScene): void {
  for (const { tag, items } of cluster.stream("web", "app")?.status?.tags ?? []) {
    const digest = items?.[0]?.image;
    expect(digest, `${tag} points at nothing`).toBeDefined();
    if (digest === undefined) continue;
    expect(cluster.registry.missing("web/app", digest as `sha256:${string}`)).toEqual([]);
    expect(digest).toBe(source.digestOf(REPOSITORY, tag));
  }
}

const isDone = ({ cluster, source }: DaemonScene, tags: readonly string[]): boolean =>
  tags.every(
    (tag) =>
      cluster.stream("web", "app")?.status?.tags?.find((one) => one.tag === tag)?.items?.[0]?.image ===
      source.digestOf(REPOSITORY, tag),
  );

const uploads = ({ cluster }: DaemonScene): number =>
  cluster.registryLedger.count({ method: "PUT", kind: "upload", status: 201 });

test(
  "P1 a worker that is killed in the middle of a blob is followed by another; finished blobs are not sent again",
  async () => {
    await using stage = await openStage(["1"]);
    const { scene, daemon } = stage;
    const first = await stage.worker();
    const held = scene.source.gate({ method: "GET", kind: "blob", nth: 3 });
    await daemon.view.sync("app", "a test");
    const request = await held;
    await until(() => uploads(scene) >= 2, PATIENT);
    await first.kill();
    request.release();
    const before = uploads(scene);
    await using _ = await stage.worker();
    await until(() => isDone(scene, ["1"]), PATIENT);
    // four blobs (config and layers), each sent once
    expect(uploads(scene)).toBe(4);
    expect(before).toBeLessThan(4);
    await until(async () => (await daemon.view.mirrors())[0]?.state === "fresh", PATIENT);
    invariants(scene);
  },
  TEST_MS,
);

test(
  "P2 a worker that is killed before the tag is written costs one request for the tag and no byte",
  async () => {
    await using stage = await openStage(["1"]);
    const { scene, daemon } = stage;
    const first = await stage.worker();
    const held = scene.cluster.registry.gate({ method: "PUT", path: /\/manifests\/1$/ });
    await daemon.view.sync("app", "a test");
    const request = await held;
    const sent = uploads(scene);
    await first.kill();
    request.release();
    await using _ = await stage.worker();
    await until(() => isDone(scene, ["1"]), PATIENT);
    await until(async () => (await daemon.view.mirrors())[0]?.state === "fresh", PATIENT);
    expect(uploads(scene)).toBe(sent);
    invariants(scene);
  },
  TEST_MS,
);

test(
  "P3 a worker that is killed after the tag was written leaves a run that the next one finds done",
  async () => {
    await using stage = await openStage(["1"]);
    const { scene, daemon } = stage;
    const worker = await stage.worker();
    // the annotation of the stream is written last: after it, only the report is missing
    let writes = 0;
    scene.cluster.before(({ entry }) => {
      if (entry.method === "PUT" || entry.method === "PATCH") writes += 1;
    });
    await daemon.view.sync("app", "a test");
    await until(() => isDone(scene, ["1"]), PATIENT);
    await worker.kill();
    const sent = uploads(scene);
    await using _ = await stage.worker();
    scene.clock.pass(1);
    await daemon.view.sync("app", "a test");
    await until(async () => (await daemon.view.runs()).some(({ state }) => state === "done"), PATIENT);
    expect(uploads(scene)).toBe(sent);
    expect(writes).toBeGreaterThan(0);
    invariants(scene);
  },
  TEST_MS,
);

test(
  "P4 a daemon that is killed keeps no worker from working, and one that comes back makes no burst",
  async () => {
    await using stage = await openStage(["1"]);
    const { scene, redis } = stage;
    await scene.configure(
      [
        {
          name: "app",
          source: `${scene.source.host}/${REPOSITORY}`,
          target: "imagestream:web/app",
          tags: { all: true },
          schedule: "0 0 1 1 *",
        },
      ],
      { daemon: { redis: redis.url } },
    );
    await using _ = await stage.worker();
    const start = (): Promise<DaemonProcess> =>
      startDaemonProcess({ file: scene.file, schedules: true, workers: 0 });
    const first = await start();
    await until(() => isDone(scene, ["1"]), PATIENT);
    await first.kill();
    scene.source.ledger.clear();
    for (let again = 0; again < 3; again += 1) await (await start()).kill();
    await using last = await start();
    await delay(500);
    expect(last.child.exitCode).toBeNull();
    // its due time was a year ago and was handled: no request is sent
    expect(scene.source.ledger.count({ kind: "tags" })).toBe(0);
    invariants(scene);
  },
  TEST_MS,
);

test(
  "P5 P6 a worker that was stopped, or whose loop was blocked, beyond its lock publishes nothing when it goes on",
  async () => {
    await using stage = await openStage(["1"]);
    const { scene, daemon } = stage;
    const first = await stage.worker();
    const held = scene.source.gate({ method: "GET", kind: "blob", nth: 4 });
    await daemon.view.sync("app", "a test");
    const request = await held;
    first.signal("SIGSTOP");
    const second = await stage.worker();
    request.release();
    await until(() => isDone(scene, ["1"]), PATIENT);
    await until(async () => (await daemon.view.mirrors())[0]?.state === "fresh", PATIENT);
    const writes = (): number =>
      scene.cluster.registryLedger.count({ method: "PUT", kind: "manifest" }) +
      scene.cluster.ledger.entries.filter(({ method }) => method !== "GET").length;
    const before = writes();
    first.signal("SIGCONT");
    await delay(1_500);
    expect(writes()).toBe(before);
    expect(first.child.exitCode).toBeNull();
    expect(second.child.exitCode).toBeNull();
    invariants(scene);
  },
  TEST_MS,
);

test(
  "P7 work that ends its worker three times is left alone, the others go on, and a retry gives it another chance",
  async () => {
    await using stage = await openStage(["1", "2", "poison"]);
    const { scene, daemon } = stage;
    const bad = image("poison").manifest.digest;
    let current = await stage.worker({ workers: 1 });
    let kills = 0;
    let dead: Promise<void> | undefined;
    const stop = scene.source.before(async ({ entry }) => {
      if (kills >= 3 || !entry.path.endsWith(`/manifests/${bad}`) || entry.method !== "GET") return;
      kills += 1;
      dead = (async () => {
        await current.kill();
        current = await stage.worker({ workers: 1 });
      })();
    });
    await daemon.view.sync("app", "a test");
    await until(async () => (await daemon.view.mirrors())[0]?.state === "quarantined", PATIENT);
    await dead;
    expect(kills).toBe(3);
    await until(() => isDone(scene, ["1", "2"]), PATIENT);
    expect((await daemon.view.mirrors())[0]?.quarantined).toMatchObject([{ tag: "poison", crashes: 3 }]);
    const code = async (): Promise<string | undefined> =>
      (await daemon.view.mirror("app"))?.tags.find(({ tag }) => tag === "poison")?.failure?.code;
    await until(async () => (await code()) === "QUARANTINED", PATIENT);
    stop();
    scene.clock.pass(1);
    await daemon.view.retry("app", "a test");
    await until(() => isDone(scene, ["1", "2", "poison"]), PATIENT);
    invariants(scene);
  },
  TEST_MS,
);

test(
  "P8 told to stop, a worker ends what it can, gives back what it cannot, and leaves with 0",
  async () => {
    await using stage = await openStage(["1"]);
    const { scene, daemon } = stage;
    const idle = await stage.worker();
    const idleExit = once(idle.child, "exit");
    idle.signal("SIGTERM");
    expect(await idleExit).toEqual([0, null]);

    const busy = await stage.worker();
    const undo = scene.source.on({ method: "GET", kind: "blob", always: true }, stall({ afterBytes: 100 }));
    await daemon.view.sync("app", "a test");
    await until(() => scene.source.ledger.count({ method: "GET", kind: "blob" }) > 0, PATIENT);
    const busyExit = once(busy.child, "exit");
    busy.signal("SIGTERM");
    expect(await busyExit).toEqual([0, null]);
    undo();
    // the lock was released, so no worker waits for it
    await using _ = await stage.worker();
    await until(() => isDone(scene, ["1"]), PATIENT);
    invariants(scene);
  },
  TEST_MS,
);

test(
  "P8 told to stop while Redis is away, a worker leaves with 0 all the same",
  async () => {
    await using stage = await openStage(["1"]);
    const worker = await stage.worker();
    await stage.redis.kill();
    await delay(300);
    const exit = once(worker.child, "exit");
    worker.signal("SIGTERM");
    expect(await exit).toEqual([0, null]);
  },
  TEST_MS,
);
