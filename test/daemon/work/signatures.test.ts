import { describe, expect, test } from "vitest";

import { type DaemonScene, openDaemonScene, until } from "../../support/daemon-scene.ts";
import {
  buildImage,
  buildIndex,
  cosignTag,
  pushTo,
  signCosign,
  withReferrers,
} from "../../support/images/images.ts";
import type { BuiltImage } from "../../support/images/manifest.ts";
import { startRegistry } from "../../support/registry/registry.ts";

const REPOSITORY = "library/app";

type View = Awaited<ReturnType<DaemonScene["start"]>>["view"];

/**
 * Runs the mirror once, a minute later, and returns what became of its tags. Without a new tag in the listing, signatures are
 * looked for after five minutes.
 */
async function runOnce({ clock }: DaemonScene, view: View): Promise<Readonly<Record<string, unknown>>> {
  const before = (await view.runs()).length;
  clock.pass(1);
  await view.sync("app", "a test");
  await until(async () => (await view.runs()).filter(({ state }) => state !== "running").length > before);
  const [run] = await view.runs();
  return Object.fromEntries((run?.outcomes ?? []).map((outcome) => [outcome.tag, outcome]));
}

describe("a signature that is pushed after its image was mirrored", () => {
  test.for(["a registry", "a stream"] as const)("reaches %s with the next check", async (target) => {
    await using scene = await openDaemonScene();
    await using registry = await startRegistry();
    const image = buildImage({ layers: 1 });
    await pushTo(scene.source, REPOSITORY, image, "v1");
    await configure(
      scene,
      target === "a stream" ? "imagestream:web/app" : `${registry.host}/mirror/app`,
      registry.host,
    );
    const { view } = await scene.start({ schedules: false });
    expect(await runOnce(scene, view)).toMatchObject({ v1: { kind: "copied" } });
    expect(await runOnce(scene, view)).toMatchObject({ v1: { kind: "unchanged" } });
    await pushTo(scene.source, REPOSITORY, signCosign(image), "v1");
    expect(await runOnce(scene, view)).toMatchObject({
      v1: { kind: "copied", healed: { content: 0, referrers: 1 } },
    });
    const tags =
      target === "a stream"
        ? scene.cluster.stream("web", "app")?.status?.tags?.map(({ tag }) => tag)
        : registry.tags("mirror/app");
    expect(tags).toContain(cosignTag(image.manifest.digest));
    scene.source.ledger.clear();
    expect(await runOnce(scene, view)).toMatchObject({ v1: { kind: "unchanged" } });
    expect(scene.source.ledger.count({ kind: "referrers" })).toBe(0);
  });

  test("is noticed for an image beneath an index, too", async () => {
    await using scene = await openDaemonScene();
    await using registry = await startRegistry();
    const index = buildIndex({ layers: 1 });
    const [child = index] = index.children;
    await pushTo(scene.source, REPOSITORY, index, "v1");
    await configure(scene, `${registry.host}/mirror/app`, registry.host);
    const { view } = await scene.start({ schedules: false });
    await runOnce(scene, view);
    await pushTo(scene.source, REPOSITORY, signCosign(child));
    expect(await runOnce(scene, view)).toMatchObject({ v1: { kind: "copied", healed: { referrers: 1 } } });
    expect(registry.tags("mirror/app")).toContain(cosignTag(child.manifest.digest));
  });

  test("is asked for once, although the source lists its tag and does not have it", async () => {
    await using scene = await openDaemonScene();
    await using registry = await startRegistry();
    const image = buildImage({ layers: 1 });
    await pushTo(scene.source, REPOSITORY, image, "v1");
    await configure(scene, `${registry.host}/mirror/app`, registry.host);
    const { view } = await scene.start({ schedules: false });
    await runOnce(scene, view);
    // a fallback tag keeps the entries of signatures that were deleted
    const signature = buildImage({ seed: "signature", subject: image, layers: 1 });
    await pushTo(scene.source, REPOSITORY, withReferrers(image, signature), "v1", { fallbackTags: true });
    scene.source.deleteManifest(REPOSITORY, signature.manifest.digest);
    expect(await runOnce(scene, view)).toMatchObject({ v1: { kind: "unchanged" } });
    scene.source.ledger.clear();
    expect(await runOnce(scene, view)).toMatchObject({ v1: { kind: "unchanged" } });
    expect(scene.source.ledger.count({ kind: "referrers" })).toBe(0);
  });
});

test("a signature that is there when its image is found comes with it, however lately the listing was read", async () => {
  await using scene = await openDaemonScene();
  await using registry = await startRegistry();
  const [first, second]: readonly BuiltImage[] = ["one", "two"].map((seed) =>
    buildImage({ seed, layers: 1 }),
  );
  if (!first || !second) throw new Error("the test has two images");
  await pushTo(scene.source, REPOSITORY, first, "v1");
  await configure(scene, `${registry.host}/mirror/app`, registry.host);
  const { view } = await scene.start({ schedules: false });
  await runOnce(scene, view);
  expect(scene.source.ledger.count({ kind: "tags" })).toBeGreaterThan(1); // the digest tags are known from here on
  await pushTo(scene.source, REPOSITORY, signCosign(second), "v2");
  expect(await runOnce(scene, view)).toMatchObject({ v2: { kind: "copied", moved: { referrers: 1 } } });
});

async function configure(scene: DaemonScene, target: string, host: string): Promise<void> {
  const { source, cluster } = scene;
  const hosts = [source.host, cluster.registryHost, host];
  await scene.configure(
    [{ name: "app", source: `${source.host}/${REPOSITORY}`, target, tags: { glob: "v*" } }],
    { registries: Object.fromEntries(hosts.map((one) => [one, { plainHttp: true }])) },
  );
}
