import { setTimeout as delay } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import type { DaemonOptions } from "../../../src/daemon/daemon.ts";
import type { DaemonView, Observation } from "../../../src/daemon/view/view.ts";
import { ask } from "../../support/ask.ts";
import { leastPrivilege } from "../../support/cluster/access.ts";
import { type DaemonScene, openDaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import type { BuiltImage } from "../../support/images/manifest.ts";
import { startRedis } from "../../support/redis.ts";
import { registryError } from "../../support/registry/faults.ts";

const REPOSITORY = "library/app";
/** A due time that is not reached during a test. */
const SCHEDULE = { schedule: "0 0 1 1 *" };
const QUICK: Partial<DaemonOptions> = { streamWatch: { settleMs: 30, restMs: 100 } };
const SETTLED_MS = 250;

const mirrorOf = ({ source }: DaemonScene, more: object = {}): object => ({
  name: "app",
  source: `${source.host}/${REPOSITORY}`,
  target: "imagestream:web/app",
  tags: { all: true },
  ...SCHEDULE,
  ...more,
});

const digestIn = ({ cluster }: DaemonScene, tag: string): string | undefined =>
  cluster.stream("web", "app")?.status?.tags?.find((one) => one.tag === tag)?.items?.[0]?.image;

type Filled = AsyncDisposable & {
  readonly scene: DaemonScene;
  readonly view: DaemonView;
  readonly image: BuiltImage;
};

/** A daemon that has filled the stream web/app with the tag `latest`, and watches it. */
async function openFilled(mirror: object = {}): Promise<Filled> {
  await using stack = new AsyncDisposableStack();
  const scene = stack.use(await openDaemonScene());
  const image = await pushTo(
    scene.source,
    REPOSITORY,
    buildImage({ seed: "ours", layers: [2_000] }),
    "latest",
  );
  await scene.configure([mirrorOf(scene, mirror)]);
  const { view } = await scene.start(QUICK);
  await until(async () => (await view.runs())[0]?.state === "done");
  await until(() => scene.cluster.watchers === 1);
  scene.clock.pass(1);
  const owned = stack.move();
  return { scene, view, image, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function integrated({ cluster }: DaemonScene): { readonly url: string; readonly authorization: string } {
  return { url: cluster.registryUrl, authorization: `Bearer ${cluster.token}` };
}

/** Somebody pushes another image to the integrated registry. */
async function pushTheirs({ scene }: Pick<Filled, "scene">, seed = "theirs"): Promise<BuiltImage> {
  const theirs = buildImage({ seed, layers: [2_000] });
  await pushTo(integrated(scene), "web/app", theirs, "latest");
  expect(digestIn(scene, "latest")).toBe(theirs.manifest.digest);
  return theirs;
}

const causes = async (view: DaemonView): Promise<string[]> => (await view.runs()).map(({ cause }) => cause);

describe("a daemon that watches its streams", () => {
  test("checks a mirror at once when somebody else moves its tag, and puts it right", async () => {
    await using filled = await openFilled();
    const { scene, view, image } = filled;
    const published: Observation[] = [];
    view.observe((observation) => void (observation.kind === "outcome" && published.push(observation)));
    await pushTheirs(filled);
    await until(() => digestIn(scene, "latest") === image.manifest.digest);
    await until(async () => (await view.runs()).length === 2);
    expect((await view.runs())[0]).toMatchObject({ cause: "stream", outcomes: [{ tag: "latest" }] });
    // the source has not changed, so this is not a measurement of freshness
    expect(published).toMatchObject([{ outcome: "copied" }]);
    expect(published[0]).not.toHaveProperty("freshnessS");
  });

  test("fills a stream again that somebody deleted", async () => {
    await using filled = await openFilled();
    const { scene, image } = filled;
    const { apiUrl, token } = scene.cluster;
    const url = `${apiUrl}/apis/image.openshift.io/v1/namespaces/web/imagestreams/app`;
    await ask("DELETE", url, { headers: { authorization: `Bearer ${token}` } });
    expect(scene.cluster.stream("web", "app")).toBeUndefined();
    await until(() => digestIn(scene, "latest") === image.manifest.digest);
  });

  test("takes nothing for news that it did itself", async () => {
    await using filled = await openFilled();
    const { scene, view } = filled;
    for (const seed of ["two", "three"]) {
      const moved = await pushTo(scene.source, REPOSITORY, buildImage({ seed, layers: [2_000] }), "latest");
      scene.clock.pass(1);
      await view.sync("app", "a test");
      await until(() => digestIn(scene, "latest") === moved.manifest.digest);
    }
    await until(async () => (await view.runs()).length === 3);
    await delay(SETTLED_MS);
    expect(await causes(view)).toEqual(["asked", "asked", "first"]);
  });

  test("waits for a run of its own that takes long between the move of a tag and its record", async () => {
    await using filled = await openFilled();
    const { scene, view } = filled;
    // the API server is slow: the stream shows the pushed image long before it shows who published it
    scene.cluster.before(async ({ entry }) => {
      if (entry.method === "PATCH") await delay(10 * SETTLED_MS);
    });
    const moved = await pushTo(
      scene.source,
      REPOSITORY,
      buildImage({ seed: "two", layers: [2_000] }),
      "latest",
    );
    scene.clock.pass(1);
    await view.sync("app", "a test");
    await until(() => digestIn(scene, "latest") === moved.manifest.digest);
    await until(async () => (await view.runs()).length === 2);
    await delay(SETTLED_MS);
    expect(await causes(view)).toEqual(["asked", "first"]);
  });

  test("does not care for tags that are none of its own", async () => {
    await using filled = await openFilled();
    const { scene, view } = filled;
    scene.cluster.editStream("web", "app", "somebody", (stream) => {
      stream.metadata.annotations = { ...stream.metadata.annotations, "example.com/note": "hello" };
    });
    await pushTo(integrated(scene), "web/app", buildImage({ seed: "other" }), "theirs");
    await delay(SETTLED_MS);
    expect(await causes(view)).toEqual(["first"]);
  });

  test("asks once about what it cannot put right", async () => {
    await using filled = await openFilled();
    const { scene, view } = filled;
    scene.source.on({ kind: "manifest", always: true }, registryError(403, "DENIED"));
    const theirs = await pushTheirs(filled);
    await until(async () => (await view.runs()).length === 2);
    await delay(SETTLED_MS);
    expect(await causes(view)).toEqual(["stream", "first"]);
    expect(digestIn(scene, "latest")).toBe(theirs.manifest.digest);
  });

  test("asks no more often than it may, however often somebody insists", async () => {
    await using scene = await openDaemonScene();
    const image = await pushTo(
      scene.source,
      REPOSITORY,
      buildImage({ seed: "ours", layers: [2_000] }),
      "latest",
    );
    await scene.configure([mirrorOf(scene)]);
    const { view } = await scene.start({ streamWatch: { settleMs: 10, restMs: 60_000 } });
    await until(async () => (await view.runs())[0]?.state === "done");
    await until(() => scene.cluster.watchers === 1);
    scene.clock.pass(1);
    await pushTheirs({ scene });
    await until(() => digestIn(scene, "latest") === image.manifest.digest);
    const again = await pushTheirs({ scene }, "theirs again");
    await until(async () => (await view.runs()).length === 2);
    await delay(SETTLED_MS);
    expect(digestIn(scene, "latest")).toBe(again.manifest.digest);
    expect(await causes(view)).toEqual(["stream", "first"]);
  });

  test("checks once, however many daemons watch", async () => {
    await using redis = await startRedis();
    await using scene = await openDaemonScene();
    const image = await pushTo(
      scene.source,
      REPOSITORY,
      buildImage({ seed: "ours", layers: [2_000] }),
      "latest",
    );
    await scene.configure([mirrorOf(scene)], { daemon: { redis: redis.url } });
    const { view } = await scene.start(QUICK);
    await scene.start(QUICK);
    await until(async () => (await view.runs())[0]?.state === "done");
    await until(() => scene.cluster.watchers === 2);
    scene.clock.pass(1);
    await pushTheirs({ scene });
    await until(async () => (await view.runs()).length === 2);
    await delay(SETTLED_MS);
    expect(await causes(view)).toEqual(["stream", "first"]);
    expect(digestIn(scene, "latest")).toBe(image.manifest.digest);
  });

  test("goes on by its schedules when it may not watch, and says so", async () => {
    const rules = leastPrivilege().map(({ verbs, ...rule }) => ({
      ...rule,
      verbs: verbs.filter((verb) => verb !== "watch"),
    }));
    await using scene = await openDaemonScene({ cluster: { users: [{ name: "mirror", rules }] } });
    const image = await pushTo(
      scene.source,
      REPOSITORY,
      buildImage({ seed: "ours", layers: [2_000] }),
      "latest",
    );
    await scene.configure([mirrorOf(scene)]);
    const { view } = await scene.start(QUICK);
    await until(() => digestIn(scene, "latest") === image.manifest.digest);
    await until(async () => (await view.health()).streamWatches[0]?.kind === "denied");
    expect((await view.health()).streamWatches).toMatchObject([
      { namespace: "web", reason: expect.stringContaining("CLUSTER_DENIED") as string },
    ]);
  });

  test("watches again when the API server was away", async () => {
    await using filled = await openFilled();
    const { scene, view, image } = filled;
    const back = scene.cluster.on(
      { path: /\/imagestreams\?/, always: true },
      registryError(503, "UNAVAILABLE"),
    );
    scene.cluster.endWatches();
    await until(async () => (await view.health()).streamWatches[0]?.kind === "away");
    await pushTheirs(filled);
    back();
    await until(() => digestIn(scene, "latest") === image.manifest.digest, { timeoutMs: 20_000 });
    expect((await view.health()).streamWatches[0]?.kind).toBe("watching");
  });

  test("follows its configuration to other namespaces, and leaves those that nobody needs", async () => {
    await using filled = await openFilled();
    const { scene, view } = filled;
    scene.cluster.createNamespace("shop");
    await scene.configure([mirrorOf(scene, { target: "imagestream:shop/app" })]);
    await until(async () => (await view.health()).streamWatches[0]?.namespace === "shop");
    await until(async () => (await view.health()).streamWatches[0]?.kind === "watching");
    await until(() => scene.cluster.watchers === 1);
    // only a person starts a mirror without a schedule
    await scene.configure([mirrorOf(scene, { schedule: undefined })]);
    await until(() => scene.cluster.watchers === 0);
    expect((await view.health()).streamWatches).toEqual([]);
  });
});
