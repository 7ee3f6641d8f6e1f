import { writeFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { bullQueue } from "../../src/daemon/queue/bullmq.ts";
import { parseJob } from "../../src/daemon/queue/job-schema.ts";
import { UNSIGNED, canonicalJson, openJobSigner } from "../../src/daemon/queue/job-signer.ts";
import { openRedis } from "../../src/daemon/redis/connection.ts";
import type { DaemonView } from "../../src/daemon/view/view.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { type DaemonScene, openDaemonScene, until } from "../support/daemon-scene.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { startRedis } from "../support/redis.ts";
import { SILENT } from "../support/registry/client.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { thrownBy } from "../support/thrown.ts";

const AT = "2026-03-01T00:00:00.000Z";
const DIGEST = digestOf(Buffer.from("one"));

function applyJob(changes: object = {}, action: object = {}): object {
  const image = { digest: DIGEST, mediaType: "x/y", size: 1 };
  const from = { source: "r.example/a", tag: "1" };
  const create = {
    kind: "create",
    mirror: "app",
    tag: "1",
    from,
    readAt: AT,
    image,
    takeover: false,
    reason: "",
  };
  return {
    kind: "apply",
    mirror: "app",
    run: "r",
    reading: 1,
    plannedAt: AT,
    actions: [{ ...create, ...action }],
    ...changes,
  };
}

describe("a job from Redis", () => {
  test("is taken as it is when it is one of ours", () => {
    expect(parseJob(applyJob())).toEqual(applyJob());
  });

  test.for([
    ["no object", 5],
    ["another kind", { kind: "delete", mirror: "app" }],
    ["no actions", applyJob({ actions: [] })],
    ["a tag that leaves its repository", applyJob({}, { tag: "../../other/manifests/1" })],
    ["a source tag that is none", applyJob({}, { from: { source: "r.example/a", tag: "a/b" } })],
    [
      "a digest that is a path",
      applyJob({}, { image: { digest: "sha256:../x", mediaType: "x/y", size: 1 } }),
    ],
    ["a size that is none", applyJob({}, { image: { digest: DIGEST, mediaType: "x/y", size: -1 } })],
    ["an action of another mirror", applyJob({}, { mirror: "other" })],
    ["a reading that is no number", applyJob({ reading: "9" })],
    ["a date that is none", applyJob({ plannedAt: "soon" })],
  ] as const)("with %s is JOB_INVALID", ([, job]) => {
    expect(thrownBy(() => parseJob(job))).toMatchObject({ code: "JOB_INVALID" });
  });
});

describe("a signed job", () => {
  const job = parseJob(applyJob());

  test("is known whatever the order of its keys, and any change is seen", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(directory.join("key"), "one\nolder\n");
    await writeFile(directory.join("old"), "older\n");
    await writeFile(directory.join("foreign"), "another\n");
    const signer = openJobSigner(directory.join("key"));
    const signature = await signer.sign(job);
    const reversed = Object.fromEntries(Object.entries(job).toReversed());
    await signer.verify(parseJob(reversed), signature);
    // during the replacement of a key
    await signer.verify(job, await openJobSigner(directory.join("old")).sign(job));
    for (const [other, mark] of [
      [parseJob(applyJob({ reading: 2 })), signature],
      [parseJob(applyJob({}, { tag: "2" })), signature],
      [job, await openJobSigner(directory.join("foreign")).sign(job)],
      [job, await UNSIGNED.sign(job)],
      [job, "junk"],
    ] as const)
      await expect(signer.verify(other, mark)).rejects.toMatchObject({ code: "JOB_INVALID" });
  });

  test("is canonical JSON", () => {
    expect(canonicalJson({ b: [1, { d: "x", c: undefined }], a: null })).toBe('{"a":null,"b":[1,{"d":"x"}]}');
  });
});

type Attacked = AsyncDisposable & {
  readonly scene: DaemonScene;
  readonly view: DaemonView;
  /** The image that the mirror selects. */
  readonly ours: BuiltImage;
  /** Writes a job into Redis with our code, but without a key, and waits until it has been dealt with. */
  readonly attack: (action: object) => Promise<void>;
};

/** A daemon on Redis whose mirror selects the tag `1` of a source that also has the tag `evil`. */
async function openAttacked({ withKey }: { readonly withKey: boolean }): Promise<Attacked> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const directory = stack.use(await temporaryDirectory());
  const scene = stack.use(await openDaemonScene());
  const ours = await pushTo(scene.source, "a/app", buildImage({ seed: "ours", layers: [500] }), "1");
  await pushTo(scene.source, "a/app", buildImage({ seed: "theirs", layers: [500] }), "evil");
  const mirror = {
    name: "app",
    source: `${scene.source.host}/a/app`,
    target: "imagestream:web/app",
    tags: ["1"],
  };
  await writeFile(directory.join("key"), "a key of the installation\n");
  const key = withKey ? { jobKeyFile: directory.join("key") } : {};
  await scene.configure([mirror], { daemon: { redis: redis.url, ...key } });
  const { view } = await scene.start();
  const link = stack.use(openRedis({ url: redis.url }, SILENT));
  await until(async () => (await link.look()).kind === "up");
  const foreign = stack.use(bullQueue(link, { log: SILENT }));
  const owned = stack.move();
  return {
    scene,
    view,
    ours,
    async attack(action) {
      await foreign.add(parseJob(applyJob({ reading: Date.now() }, action)));
      await until(async () => {
        const { jobs } = await view.health();
        return jobs?.waiting === 0 && jobs.active === 0;
      });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const imageOf = ({ manifest: { digest, mediaType, bytes } }: BuiltImage): object => ({
  digest,
  mediaType,
  size: bytes.length,
});

test("a job without a valid signature costs no request, even for a tag that its mirror selects", async () => {
  await using attacked = await openAttacked({ withKey: true });
  const { scene, view, ours, attack } = attacked;
  await attack({ image: imageOf(ours), from: { source: `${scene.source.host}/a/app`, tag: "1" } });
  expect(scene.source.ledger.entries.map(({ path }) => path)).toEqual([]);
  expect(await view.sync("app", "a test")).toBe("queued");
  await until(async () => (await view.mirrors())[0]?.state === "fresh");
}, 60_000);

test("without a key, a job of somebody else publishes no tag that the rules of its mirror do not select", async () => {
  await using attacked = await openAttacked({ withKey: false });
  const { scene, view, ours, attack } = attacked;
  const theirs = buildImage({ seed: "theirs", layers: [500] });
  const from = { source: `${scene.source.host}/a/app`, tag: "evil" };
  await attack({ image: imageOf(theirs), tag: "evil", from });
  expect(await view.sync("app", "a test")).toBe("queued");
  await until(async () => (await view.mirrors())[0]?.state === "fresh");
  const tags = scene.cluster.stream("web", "app")?.status?.tags ?? [];
  expect(tags.map(({ tag, items }) => [tag, items?.[0]?.image])).toEqual([["1", ours.manifest.digest]]);
}, 60_000);

/** Sorts as the newest run. */
const RUN_KEY = "2999-01-01T00:00:00.000Z app@x";

test("junk in records, on the channel and in the queue ends no process and breaks no page", async () => {
  await using redis = await startRedis();
  await using scene = await openDaemonScene();
  const pushed = await pushTo(scene.source, "a/app", buildImage({ seed: "app", layers: [500] }), "1");
  const mirror = {
    name: "app",
    source: `${scene.source.host}/a/app`,
    target: "imagestream:web/app",
    tags: ["1"],
  };
  await scene.configure([mirror], { daemon: { redis: redis.url } });
  const { view } = await scene.start();
  await view.sync("app", "a test");
  await until(async () => (await view.mirrors())[0]?.state === "fresh");
  const looking = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { kind } of view.events({ signal: looking.signal })) seen.push(kind);
  })();
  for (const junk of ["{", "5", "null", '{"kind":"run"}', '{"tag":"../x","history":5}', "\u0000"]) {
    for (const namespace of [
      "mirror:app",
      "tags:app",
      "runs:app",
      "open:app",
      "quarantine",
      "progress",
      "readings:app",
    ])
      for (const field of ["junk", "1", "lastDueAt", "pausedAt", "retrying", "reading", "app@x", RUN_KEY])
        await redis.command("HSET", `{tagferry}:${namespace}`, field, junk);
    expect(await view.mirrors(), junk).toMatchObject([{ name: "app" }]);
    expect(
      (await view.mirror("app"))?.runs.every(({ mirror: name }) => name === "app"),
      junk,
    ).toBe(true);
    expect(
      (await view.runs()).every(({ mirror: name }) => name === "app"),
      junk,
    ).toBe(true);
    await view.health();
  }
  for (const message of ["{", "null", '{"kind":"run","mirror":5}'])
    await redis.command("PUBLISH", "{tagferry}:messages", message);
  for (const kind of ["check", "apply"]) {
    await redis.command(
      "HSET",
      `{tagferry}:${kind}:junk`,
      "name",
      kind,
      "data",
      '{"job":{"kind":"?"}}',
      "opts",
      "{}",
      "timestamp",
      "1",
    );
    await redis.command("LPUSH", `{tagferry}:${kind}:wait`, "junk");
    await redis.command("ZADD", `{tagferry}:${kind}:marker`, "0", "0");
  }
  // work continues
  const moved = await pushTo(scene.source, "a/app", buildImage({ seed: "moved", layers: [500] }), "1");
  scene.clock.pass(1);
  await view.sync("app", "a test");
  await until(
    () => scene.cluster.stream("web", "app")?.status?.tags?.[0]?.items?.[0]?.image === moved.manifest.digest,
    { timeoutMs: 30_000 },
  );
  expect(pushed.manifest.digest).not.toBe(moved.manifest.digest);
  looking.abort();
  await watching;
  expect(seen.every((kind) => ["run", "outcome", "progress", "mirror", "config"].includes(kind))).toBe(true);
}, 60_000);

test("numbers that somebody wrote among the readings and the counts of crashes stop no tag", async () => {
  await using redis = await startRedis();
  await using scene = await openDaemonScene();
  await pushTo(scene.source, "a/app", buildImage({ seed: "app", layers: [500] }), "1");
  const source = `${scene.source.host}/a/app`;
  await scene.configure([{ name: "app", source, target: "imagestream:web/app", tags: ["1"] }], {
    daemon: { redis: redis.url },
  });
  const { view } = await scene.start();
  await view.sync("app", "a test");
  await until(async () => (await view.mirrors())[0]?.state === "fresh");
  const moved = await pushTo(scene.source, "a/app", buildImage({ seed: "moved", layers: [500] }), "1");
  await redis.command("HSET", "{tagferry}:readings:app", "1", "8000000000000000");
  await redis.command("HSET", "{tagferry}:begun:apply app:1", "count", "junk");
  await redis.command("HSET", `{tagferry}:begun:apply app:1@${moved.manifest.digest}`, "count", "junk");
  scene.clock.pass(1);
  await view.sync("app", "a test");
  await until(
    () => scene.cluster.stream("web", "app")?.status?.tags?.[0]?.items?.[0]?.image === moved.manifest.digest,
    { timeoutMs: 30_000 },
  );
  await until(async () => (await view.mirrors())[0]?.state === "fresh");
  expect((await view.mirrors())[0]?.quarantined).toEqual([]);
}, 60_000);
