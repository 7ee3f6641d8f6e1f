import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

import { Queue as BullQueue } from "bullmq";
import { expect, test } from "vitest";

import type { Daemon } from "../../src/daemon/daemon.ts";
import { bullQueue } from "../../src/daemon/queue/bullmq.ts";
import { openRedis, REDIS_PREFIX } from "../../src/daemon/redis/connection.ts";
import { type DaemonScene, openDaemonScene, until } from "../support/daemon-scene.ts";
import { freePort } from "../support/free-port.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { SILENT } from "../support/registry/client.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const REPOSITORY = "team/app";
const TAGS = ["1", "2", "3", "4"];

type Stage = AsyncDisposable & {
  readonly redis: TestRedis;
  readonly scene: DaemonScene;
  readonly daemon: Daemon;
};

/** A daemon with workers, on a Redis, with a mirror that is due every half hour. */
async function openStage(options: Parameters<typeof startRedis>[0] = {}): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis(options));
  const scene = stack.use(await openDaemonScene());
  await publish(scene, "first");
  await scene.configure(
    [
      {
        name: "app",
        source: `${scene.source.host}/${REPOSITORY}`,
        target: "imagestream:web/app",
        tags: { all: true },
        referrers: false,
        schedule: "*/30 * * * *",
      },
    ],
    { daemon: { redis: redis.url } },
  );
  const daemon = await scene.start({ lockMs: 1_000 });
  const owned = stack.move();
  return { redis, scene, daemon, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Moves every tag at the source. */
async function publish({ source }: DaemonScene, generation: string): Promise<void> {
  for (const tag of TAGS)
    await pushTo(source, REPOSITORY, buildImage({ seed: `${generation}-${tag}`, layers: [2_000] }), tag);
}

const isInStep = ({ cluster, source }: DaemonScene): boolean =>
  TAGS.every(
    (tag) =>
      cluster.stream("web", "app")?.status?.tags?.find((one) => one.tag === tag)?.items?.[0]?.image ===
      source.digestOf(REPOSITORY, tag),
  );

/** Nothing was published twice. */
function noDoubles({ cluster }: DaemonScene): void {
  for (const { items } of cluster.stream("web", "app")?.status?.tags ?? [])
    expect(new Set(items?.map(({ image }) => image)).size).toBe(items?.length);
}

async function inStep(scene: DaemonScene, timeoutMs = 20_000): Promise<void> {
  await until(() => isInStep(scene), { timeoutMs });
  noDoubles(scene);
}

/** Advances to the next due times until the stream is up to date. A lost job costs one or two intervals. */
async function inStepAfterDue(scene: DaemonScene): Promise<void> {
  scene.clock.pass(30);
  await inStep(scene);
}

test("R1 Redis killed with its log on disk: work goes on when it is back", async () => {
  await using stage = await openStage({ appendOnly: true });
  const { scene, redis } = stage;
  await inStep(scene);
  await publish(scene, "second");
  const held = scene.source.gate({ method: "GET", kind: "blob" });
  scene.clock.pass(30);
  const request = await held;
  await redis.kill();
  request.release();
  await delay(500);
  await redis.start();
  await inStep(scene);
}, 40_000);

test("R2 Redis killed without a disk, or flushed, costs an interval and nothing else", async () => {
  await using stage = await openStage();
  const { scene, redis, daemon } = stage;
  await inStep(scene);
  await publish(scene, "second");
  await redis.kill();
  await redis.start();
  await until(async () => (await daemon.view.health()).ready);
  await inStepAfterDue(scene);
  await publish(scene, "third");
  await redis.command("FLUSHALL");
  await inStepAfterDue(scene);
  await until(async () => (await daemon.view.mirrors())[0]?.state === "fresh");
}, 60_000);

test("R3 Redis stopped beyond the locks: nothing is published twice, nobody falls over", async () => {
  await using stage = await openStage();
  const { scene, redis } = stage;
  await inStep(scene);
  await publish(scene, "second");
  const held = scene.source.gate({ method: "GET", kind: "blob" });
  scene.clock.pass(30);
  const request = await held;
  redis.signal("SIGSTOP");
  await delay(2_500);
  request.release();
  await delay(500);
  redis.signal("SIGCONT");
  await until(() => isInStep(scene), { timeoutMs: 20_000 }).catch(() => inStepAfterDue(scene));
  noDoubles(scene);
}, 60_000);

test("R4 a Redis that became a replica is away until it may write again", async () => {
  await using stage = await openStage();
  const { scene, redis, daemon } = stage;
  await inStep(scene);
  await redis.command("REPLICAOF", "127.0.0.1", String(await freePort()));
  await until(async () => !(await daemon.view.health()).ready);
  await publish(scene, "second");
  scene.clock.pass(30);
  await redis.command("REPLICAOF", "NO", "ONE");
  await until(async () => (await daemon.view.health()).ready);
  await inStep(scene);
}, 40_000);

test("R5 a Redis without memory left: not ready, what is under way ends, and all goes on when there is room", async () => {
  await using stage = await openStage();
  const { scene, redis, daemon } = stage;
  await inStep(scene);
  await redis.command("CONFIG", "SET", "maxmemory", "1mb");
  await until(async () => !(await daemon.view.health()).ready);
  const { reasons } = await daemon.view.health();
  expect(reasons.join()).toContain("redis");
  await publish(scene, "second");
  scene.clock.pass(30);
  await delay(500);
  await redis.command("CONFIG", "SET", "maxmemory", "0");
  await until(async () => (await daemon.view.health()).ready);
  await inStep(scene);
}, 40_000);

test("R6 a Redis that throws data away is not fit, and the reason says what to set", async () => {
  await using stage = await openStage({ config: { "maxmemory-policy": "allkeys-lru" } });
  const { ready, reasons, redis } = await stage.daemon.view.health();
  expect(ready).toBe(false);
  expect(redis?.kind).toBe("unfit");
  expect(reasons.join()).toContain("noeviction");
});

test("R7 a Redis whose disk refuses is not ready until it takes writes again", async () => {
  await using directory = await temporaryDirectory();
  await using stage = await openStage({ config: { save: "1 1", dir: directory.path } });
  const { redis, daemon, scene } = stage;
  await inStep(scene);
  await rm(directory.path, { recursive: true });
  await until(async () => !(await daemon.view.health()).ready, { timeoutMs: 20_000 });
  await redis.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no");
  await until(async () => (await daemon.view.health()).ready);
  await publish(scene, "second");
  await inStepAfterDue(scene);
}, 60_000);

test("R8 connections that are cut again and again: work goes on, and none is left open", async () => {
  await using stage = await openStage();
  const { scene, redis } = stage;
  await inStep(scene);
  const open = async (): Promise<number> =>
    String(await redis.command("CLIENT", "LIST"))
      .trim()
      .split("\n").length;
  const before = await open();
  await publish(scene, "second");
  scene.clock.pass(30);
  for (let cut = 0; cut < 12; cut += 1) {
    await redis.command("CLIENT", "KILL", "TYPE", "normal").catch(() => {}); // it cuts itself off, too
    await delay(150);
  }
  await until(() => isInStep(scene), { timeoutMs: 20_000 }).catch(() => inStepAfterDue(scene));
  await until(async () => (await open()) <= before + 1);
  noDoubles(scene);
}, 60_000);

test("R11 a Redis that is never there: not ready, and stopping waits for nobody", async () => {
  await using scene = await openDaemonScene();
  const redis = `redis://127.0.0.1:${await freePort()}`;
  const mirror = { source: "quay.example/a/b", target: "imagestream:web/b", tags: ["1"] };
  await scene.configure([mirror], { daemon: { redis } });
  const daemon = await scene.start();
  const { ready, redis: state } = await daemon.view.health();
  expect(ready).toBe(false);
  expect(state?.kind).toBe("away");
  await expect(daemon.view.sync("web-b", "a test")).rejects.toMatchObject({ code: "QUEUE_AWAY" });
  const began = performance.now();
  await daemon.stop({ signal: AbortSignal.timeout(500) });
  expect(performance.now() - began).toBeLessThan(8_000);
}, 30_000);

test("R14 a worker that takes nothing although something waits is replaced", async () => {
  await using redis = await startRedis();
  await using link = openRedis({ url: redis.url }, SILENT);
  await link.settle(5_000);
  const told: string[] = [];
  const log = { ...SILENT, warn: (_facts: unknown, text: string) => void told.push(text) };
  await using queue = bullQueue(link, { log: log as typeof SILENT, lockMs: 1_000, watchdogMs: 400 });
  const done: string[] = [];
  const workers = queue.work(async (job) => void done.push(job.mirror), {
    checks: () => 1,
    applies: 1,
    onBroken: () => {},
  });
  // another program paused the queue: all processes look alive, but no job runs
  const other = new BullQueue("check", {
    connection: link.client,
    prefix: REDIS_PREFIX,
    skipVersionCheck: true,
  });
  await other.pause();
  const dueAt = new Date().toISOString();
  await queue.add({ kind: "check", mirror: "a", run: `a@${dueAt}`, dueAt, cause: "asked" });
  await until(() => told.length > 0);
  expect(told[0]).toContain("the worker is replaced");
  await other.resume();
  await until(() => done.length === 1);
  await workers.close({ signal: AbortSignal.timeout(1_000) });
}, 30_000);
