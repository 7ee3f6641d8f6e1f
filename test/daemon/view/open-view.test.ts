import { describe, expect, test } from "vitest";

import { openRecords } from "../../../src/daemon/records/records.ts";
import { inProcessStateStore } from "../../../src/daemon/state/state-store.ts";
import { SYSTEM_CLOCK } from "../../../src/daemon/triggers/clock.ts";
import type { MirrorStatus } from "../../../src/daemon/view/view.ts";
import { openDaemonScene, type DaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, buildIndex, pushTo } from "../../support/images/images.ts";
import { startRedis } from "../../support/redis.ts";
import { stall } from "../../support/registry/connection-faults.ts";
import { rateLimited, registryError } from "../../support/registry/faults.ts";
import { failure } from "../../support/view.ts";

const REPOSITORY = "library/app";

const mirrorOf = ({ source }: DaemonScene, more: object = {}): object => ({
  name: "app",
  source: `${source.host}/${REPOSITORY}`,
  target: "imagestream:web/app",
  tags: { all: true },
  ...more,
});

type View = Awaited<ReturnType<DaemonScene["start"]>>["view"];

async function statusOf(view: View): Promise<MirrorStatus> {
  const [mirror] = await view.mirrors();
  if (!mirror) throw new Error("there is no mirror");
  return mirror;
}

describe("a mirror", () => {
  test("tells where its tags are pulled, its namespace and the registry of its source", async () => {
    await using scene = await openDaemonScene();
    const source = `${scene.source.host}/${REPOSITORY}`;
    await scene.configure([
      mirrorOf(scene),
      { name: "copy", source, target: `${scene.source.host}/b/app`, tags: ["1"] },
      { name: "files", source, target: "oci:/srv/none", tags: ["1"] },
    ]);
    const { view } = await scene.start({ workers: 0 });
    const facts = (await view.mirrors()).map(({ pullFrom, namespace, registry }) => [
      pullFrom,
      namespace,
      registry,
    ]);
    expect(facts).toEqual([
      [`${scene.cluster.registryHost}/web/app`, "web", scene.source.host],
      [`${scene.source.host}/b/app`, undefined, scene.source.host],
      [undefined, undefined, scene.source.host],
    ]);
  });

  test("whose rules select nothing is empty, and no longer when they select something", async () => {
    await using scene = await openDaemonScene();
    await pushTo(scene.source, REPOSITORY, buildImage({ seed: "one" }), "latest");
    await scene.configure([mirrorOf(scene, { tags: { glob: "v*" } })]);
    const { view } = await scene.start({ clock: SYSTEM_CLOCK });
    await view.sync("app", "a test");
    await until(async () => (await statusOf(view)).state === "empty");
    expect((await statusOf(view)).recent[0]?.warnings).toMatchObject([{ code: "FILTER_EMPTY" }]);
    await pushTo(scene.source, REPOSITORY, buildImage({ seed: "two" }), "v1");
    await view.sync("app", "a test");
    await until(async () => (await statusOf(view)).state === "fresh");
  });

  test("that is paused while it fails is both", async () => {
    await using scene = await openDaemonScene();
    scene.source.on({ kind: "tags", always: true }, registryError(401, "UNAUTHORIZED"));
    await scene.configure([mirrorOf(scene)]);
    const { view } = await scene.start({ clock: SYSTEM_CLOCK });
    await view.sync("app", "a test");
    await until(async () => (await statusOf(view)).state === "failing");
    await view.pause("app", "a test");
    expect((await statusOf(view)).states).toEqual(["paused", "failing"]);
  });

  test("keeps its last runs in short: outcome, bytes, tags that were published or failed", async () => {
    await using scene = await openDaemonScene();
    await pushTo(scene.source, REPOSITORY, buildImage({ seed: "one", layers: [4_000] }), "1");
    await scene.configure([mirrorOf(scene)]);
    const { view } = await scene.start({ clock: SYSTEM_CLOCK });
    await view.sync("app", "a test");
    await until(async () => (await statusOf(view)).recent.length === 1);
    const [mark] = (await statusOf(view)).recent;
    expect(mark).toMatchObject({ cause: "asked", state: "done", published: 1, failed: 0, warnings: [] });
    expect(mark?.bytes).toBeGreaterThan(4_000);
    for (const day of [await view.day(), (await view.mirror("app"))?.day])
      expect(day?.at(-1)).toMatchObject({ bytes: mark?.bytes, published: 1 });
  });
});

/** The mirror's first tag after a run. */
async function tagAfterRun(view: View) {
  await view.sync("app", "a test");
  await until(async () => (await statusOf(view)).recent.length > 0);
  return (await view.mirror("app"))?.tags[0];
}

describe("a tag", () => {
  test("tells size, platforms and signatures of what was copied, and after a restart what was verified", async () => {
    await using scene = await openDaemonScene();
    const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
    const index = buildIndex({ seed: "two", platforms, layers: [5_000] });
    await pushTo(scene.source, REPOSITORY, index, "1");
    await scene.configure([mirrorOf(scene)]);
    const first = await scene.start();
    const copied = await tagAfterRun(first.view);
    expect(copied?.image).toMatchObject({ platforms: ["linux/amd64", "linux/arm64"], referrers: 0 });
    expect(copied?.image?.bytes).toBeGreaterThan(10_000);
    await first.stop({ signal: AbortSignal.timeout(5_000) });
    const second = await scene.start();
    const found = await tagAfterRun(second.view);
    expect(found?.last).toBe("unchanged");
    expect(found?.image).toMatchObject({
      bytes: copied?.image?.bytes,
      platforms: ["linux/amd64", "linux/arm64"],
    });
    // the stream tells since when
    const event = scene.cluster.stream("web", "app")?.status?.tags?.[0]?.items?.[0];
    expect(Date.parse(found?.publishedAt ?? "")).toBe(Date.parse(event?.created ?? ""));
  });

  test("that is tried again later says so at once: which one, why, and when", async () => {
    await using scene = await openDaemonScene();
    await pushTo(scene.source, REPOSITORY, buildImage({ seed: "one" }), "1");
    scene.source.on({ kind: "blob", always: true }, rateLimited(3_600));
    await scene.configure([mirrorOf(scene)]);
    const { view } = await scene.start({ clock: SYSTEM_CLOCK });
    await view.sync("app", "a test");
    await until(async () => (await statusOf(view)).retrying !== undefined);
    const { retrying, states, reason } = await statusOf(view);
    expect(retrying).toMatchObject({ tag: "1", attempt: 1, failure: { code: "RATE_LIMITED" } });
    expect(states).toContain("failing");
    expect(reason).toMatch(/^attempt 1 of tag 1 failed \(RATE_LIMITED: /);
  });

  test("that has an outcome is no longer said to be tried again, and another one still is", async () => {
    const { mirrors } = openRecords(inProcessStateStore(), { now: () => new Date() });
    const [at, nextAt] = ["2026-11-24T10:00:00.000Z", "2026-11-24T10:01:00.000Z"];
    await mirrors.retries("app", { failure: failure(), attempt: 1, at, nextAt, tag: "1" });
    await mirrors.retried("app", ["2"]);
    expect((await mirrors.read("app")).retrying?.tag).toBe("1");
    await mirrors.retried("app", ["2", "1"]);
    expect((await mirrors.read("app")).retrying).toBeUndefined();
  });
});

test("cancelling removes what waits, also what no worker has begun", async () => {
  await using scene = await openDaemonScene();
  await scene.configure([mirrorOf(scene)]);
  const { view } = await scene.start({ clock: SYSTEM_CLOCK, workers: 0 });
  await view.sync("app", "a test");
  expect((await view.health()).jobs?.waiting).toBe(1);
  await view.cancel("app", "a test");
  expect((await view.health()).jobs?.waiting).toBe(0);
});

describe.for(["in one process", "on Redis"] as const)("a run that is cancelled, %s,", (mode) => {
  test("stops what is copied and what waits, says so, and the next one does it all", async () => {
    await using redis = mode === "on Redis" ? await startRedis() : undefined;
    await using scene = await openDaemonScene();
    const tags = ["1", "2", "3"];
    for (const tag of tags)
      await pushTo(scene.source, REPOSITORY, buildImage({ seed: tag, layers: [9_000] }), tag);
    const silent = scene.source.on({ kind: "blob", always: true }, stall({ afterBytes: 10 }));
    await scene.configure(
      [mirrorOf(scene)],
      redis ? { daemon: { redis: redis.url, workers: 1 } } : { daemon: { workers: 1 } },
    );
    const { view } = await scene.start({ clock: SYSTEM_CLOCK });
    await view.sync("app", "a test");
    await until(async () => (await statusOf(view)).run?.expected === 3);
    expect(await view.cancel("app", "a test")).toBe(true);
    await until(async () => {
      const { jobs } = await view.health();
      return jobs?.active === 0 && jobs.waiting === 0 && jobs.delayed === 0;
    });
    const status = await statusOf(view);
    expect([status.run, status.recent[0]?.state, status.states]).toEqual([undefined, "cancelled", ["fresh"]]);
    expect((await view.mirror("app"))?.runs.map(({ state }) => state)).toEqual(["cancelled"]);
    silent();
    await view.sync("app", "a test");
    await until(async () => (await statusOf(view)).recent[0]?.state === "done");
    expect((await view.mirror("app"))?.tags).toHaveLength(3);
  });
});
