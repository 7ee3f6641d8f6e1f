import { writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import type { DaemonEvent } from "../../src/daemon/records/record-types.ts";
import type { Observation } from "../../src/daemon/view/view.ts";
import { type DaemonScene, openDaemonScene, until } from "../support/daemon-scene.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { startRedis } from "../support/redis.ts";
import { rateLimited, registryError } from "../support/registry/faults.ts";

const REPOSITORY = "library/app";
const SCHEDULE = { schedule: "*/30 * * * *" };

const mirrorOf = ({ source }: DaemonScene, more: object = {}): object => ({
  name: "app",
  source: `${source.host}/${REPOSITORY}`,
  target: "imagestream:web/app",
  tags: { all: true },
  ...more,
});

const image = (seed: string): ReturnType<typeof buildImage> => buildImage({ seed, layers: [2_000, 3_000] });

const digestIn = ({ cluster }: DaemonScene, tag: string): string | undefined =>
  cluster.stream("web", "app")?.status?.tags?.find((one) => one.tag === tag)?.items?.[0]?.image;

const MODES = [
  { name: "in one process", redis: false },
  { name: "on Redis", redis: true },
] as const;

describe.for(MODES)("a daemon $name", ({ redis: onRedis }) => {
  async function openScene(): Promise<{
    readonly scene: DaemonScene;
    readonly daemonSettings: object;
    readonly [Symbol.asyncDispose]: () => Promise<void>;
  }> {
    const redis = onRedis ? await startRedis() : undefined;
    const scene = await openDaemonScene();
    return {
      scene,
      daemonSettings: redis ? { daemon: { redis: redis.url } } : {},
      async [Symbol.asyncDispose]() {
        await scene[Symbol.asyncDispose]();
        await redis?.[Symbol.asyncDispose]();
      },
    };
  }

  test("mirrors when a mirror is due, once per due time, and follows a tag that moves", async () => {
    await using opened = await openScene();
    const { scene, daemonSettings } = opened;
    const first = await pushTo(scene.source, REPOSITORY, image("one"), "latest");
    await scene.configure([mirrorOf(scene, SCHEDULE)], daemonSettings);
    const { view } = await scene.start();
    // a mirror that was never checked is due immediately
    await until(() => digestIn(scene, "latest") === first.manifest.digest);
    await until(async () => (await view.mirrors())[0]?.state === "fresh");
    const moved = await pushTo(scene.source, REPOSITORY, image("two"), "latest");
    scene.clock.pass(29);
    await delay(50);
    expect(digestIn(scene, "latest")).toBe(first.manifest.digest);
    scene.clock.pass(1);
    await until(() => digestIn(scene, "latest") === moved.manifest.digest);
    await until(async () => (await view.runs()).length === 2);
    expect((await view.runs()).map(({ cause, state }) => [cause, state])).toEqual([
      ["schedule", "done"],
      ["first", "done"],
    ]);
    const detail = await view.mirror("app");
    expect(detail?.tags).toMatchObject([
      {
        tag: "latest",
        digest: moved.manifest.digest,
        last: "copied",
        history: [{ digest: moved.manifest.digest }, { digest: first.manifest.digest }],
      },
    ]);
  });

  test("does what it is asked, pauses, resumes, and tells who looks on", async () => {
    await using opened = await openScene();
    const { scene, daemonSettings } = opened;
    await pushTo(scene.source, REPOSITORY, image("one"), "latest");
    await scene.configure([mirrorOf(scene)], daemonSettings);
    const { view } = await scene.start();
    const events: DaemonEvent[] = [];
    const observed: Observation[] = [];
    view.observe((observation) => void observed.push(observation));
    const looking = new AbortController();
    const watching = (async () => {
      for await (const event of view.events({ signal: looking.signal })) events.push(event);
    })();
    expect(await view.sync("nothing", "a test")).toBeUndefined();
    expect((await view.mirrors())[0]?.state).toBe("waiting");
    await until(async () => {
      // a Redis subscriber needs a moment to connect
      if (events.length === 0) await view.pause("app", "a test");
      return events.length > 0;
    });
    await until(async () => (await view.mirrors())[0]?.state === "paused");
    expect((await view.mirrors())[0]).toMatchObject({ pausedBy: "a test" });
    await view.resume("app", "a test");
    expect(await view.sync("app", "a test")).toBe("queued");
    await until(async () => (await view.runs()).length === 1);
    await until(() => events.some(({ kind }) => kind === "outcome"));
    await until(() => events.some((event) => event.kind === "run" && event.state === "done"));
    looking.abort();
    await watching;
    expect(observed.filter(({ kind }) => kind === "outcome")).toMatchObject([
      { mirror: "app", outcome: "copied" },
    ]);
    expect(observed.some((one) => one.kind === "request" && one.class === "2xx")).toBe(true);
  });

  test("tells what failed, tries again what may pass, and is well again", async () => {
    await using opened = await openScene();
    const { scene, daemonSettings } = opened;
    await pushTo(scene.source, REPOSITORY, image("one"), "latest");
    await scene.configure([mirrorOf(scene)], daemonSettings);
    const stop = scene.source.on({ kind: "tags", always: true }, registryError(403, "DENIED"));
    const { view } = await scene.start();
    await view.sync("app", "a test");
    await until(async () => (await view.mirrors())[0]?.state === "failing");
    expect((await view.mirrors())[0]?.failure).toMatchObject({ code: "DENIED" });
    stop();
    scene.clock.pass(1);
    await view.sync("app", "a test");
    await until(async () => (await view.mirrors())[0]?.state === "fresh");
    expect((await view.mirrors())[0]?.failure).toBeUndefined();
  });

  test("shows until when a registry asked for quiet", async () => {
    await using opened = await openScene();
    const { scene, daemonSettings } = opened;
    await pushTo(scene.source, REPOSITORY, image("one"), "latest");
    await scene.configure([mirrorOf(scene)], daemonSettings);
    scene.source.on({ kind: "tags" }, rateLimited(600));
    const { view } = await scene.start();
    const paused = async (): Promise<string | undefined> =>
      (await view.health()).rateLimits.find(({ registry }) => registry === scene.source.host)?.pausedUntil;
    expect(await paused()).toBeUndefined();
    await view.sync("app", "a test");
    await until(async () => (await paused()) !== undefined);
    const restS = (Date.parse((await paused()) ?? "") - Date.now()) / 1000;
    expect(restS).toBeGreaterThan(500);
    expect(restS).toBeLessThanOrEqual(600);
  });

  test("makes a mirror due when somebody says that its source was pushed to, and no other", async () => {
    await using opened = await openScene();
    const { scene, daemonSettings } = opened;
    const pushed = await pushTo(scene.source, REPOSITORY, image("one"), "latest");
    await scene.configure([mirrorOf(scene)], daemonSettings);
    const { view } = await scene.start();
    expect(await view.pushNotice({ repository: `${scene.source.host}/library/other` })).toEqual([]);
    expect(await view.pushNotice({ repository: `${scene.source.host}/${REPOSITORY}` })).toEqual(["app"]);
    await until(() => digestIn(scene, "latest") === pushed.manifest.digest);
  });

  test("takes up another configuration without a restart, and keeps the one before when it is broken", async () => {
    await using opened = await openScene();
    const { scene, daemonSettings } = opened;
    const pushed = await pushTo(scene.source, "library/other", image("other"), "latest");
    await scene.configure([mirrorOf(scene)], daemonSettings);
    const { view } = await scene.start();
    await writeFile(scene.file, "version: 1\nmirors: []\n");
    await until(async () => (await view.health()).config.failure !== undefined);
    expect((await view.health()).config.failure).toMatchObject({ code: "CONFIG_INVALID" });
    expect((await view.mirrors()).map(({ name }) => name)).toEqual(["app"]);
    await scene.configure(
      [mirrorOf(scene, { name: "other", source: `${scene.source.host}/library/other`, ...SCHEDULE })],
      daemonSettings,
    );
    await until(async () => (await view.mirrors())[0]?.name === "other");
    expect((await view.health()).config.failure).toBeUndefined();
    await until(() => digestIn(scene, "latest") === pushed.manifest.digest);
  });
});

test("does a tag once that two runs at a time found to have moved", async () => {
  await using scene = await openDaemonScene();
  await pushTo(scene.source, REPOSITORY, image("one"), "latest");
  await scene.configure([mirrorOf(scene, { referrers: false })]);
  const { view } = await scene.start({ workers: 1 });
  const held = scene.source.gate({ method: "GET", kind: "blob" });
  await view.sync("app", "a test");
  const request = await held;
  scene.clock.pass(1);
  await view.sync("app", "a test");
  // the second run has planned the tag, and its job waits for the first one
  await until(async () => (await view.health()).jobs?.waiting === 1);
  scene.clock.pass(1);
  request.release();
  await until(async () => (await view.runs()).length === 2);
  const kinds = (await view.runs()).flatMap(({ outcomes }) => outcomes.map(({ kind }) => kind));
  expect(kinds.toSorted()).toEqual(["copied", "unchanged"]);
}, 20_000);

test("on Redis it catches up once what it missed while it did not run", async () => {
  await using redis = await startRedis();
  await using scene = await openDaemonScene();
  await pushTo(scene.source, REPOSITORY, image("one"), "latest");
  await scene.configure([mirrorOf(scene, SCHEDULE)], { daemon: { redis: redis.url } });
  const before = await scene.start();
  await until(async () => (await before.view.runs()).length === 1);
  await before.stop({ signal: AbortSignal.timeout(1_000) });
  scene.clock.pass(24 * 60);
  const { view } = await scene.start();
  await until(async () => (await view.runs()).length === 2);
  await delay(100);
  expect((await view.runs()).map(({ cause }) => cause)).toEqual(["missed", "first"]);
});

test("started while Redis is away it says so at once, takes no work, and begins when Redis comes", async () => {
  await using redis = await startRedis();
  await using scene = await openDaemonScene();
  await pushTo(scene.source, REPOSITORY, image("one"), "latest");
  await scene.configure([mirrorOf(scene)], { daemon: { redis: redis.url } });
  await redis.kill();
  const { view } = await scene.start();
  const health = await view.health();
  expect(health).toMatchObject({ ready: false, redis: { kind: "away" } });
  expect(health.jobs).toBeUndefined();
  await expect(view.sync("app", "a test")).rejects.toMatchObject({ code: "QUEUE_AWAY" });
  await redis.start();
  await until(async () => (await view.health()).ready);
  await until(async () => (await view.runs()).some(({ mirror }) => mirror === "app"));
});
