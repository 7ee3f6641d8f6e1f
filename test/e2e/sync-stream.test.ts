import { describe, expect, test } from "vitest";

import { buildImage, buildIndex, pushTo } from "../support/images/images.ts";
import { startRegistry } from "../support/registry/registry.ts";
import { openScene, REPOSITORY, type Scene, STREAM } from "../support/scene.ts";

const totals = ({ stdout, stderr }: { stdout: string; stderr: string }): unknown => {
  if (stdout === "") throw new Error(stderr);
  return (JSON.parse(stdout) as { totals: unknown }).totals;
};
const outcomes = ({ stdout }: { stdout: string }): Record<string, unknown>[] =>
  (JSON.parse(stdout) as { mirrors: { outcomes: Record<string, unknown>[] }[] }).mirrors.flatMap(
    (one) => one.outcomes,
  );

function forget({ source, cluster }: Scene): void {
  for (const ledger of [source.ledger, cluster.ledger, cluster.registryLedger]) ledger.clear();
}

const specTag = ({ cluster }: Scene, name: string): unknown =>
  cluster.stream(STREAM.namespace, STREAM.name)?.spec.tags?.find((tag) => tag.name === name);

describe("sync into an image stream", () => {
  test("copies into the integrated registry; the second run asks once per tag and once for the stream, and writes nothing", async () => {
    await using scene = await openScene();
    const { source, cluster } = scene;
    const index = await pushTo(source, REPOSITORY, buildIndex({ seed: "one" }), "1.0");
    const single = await pushTo(source, REPOSITORY, buildImage({ seed: "two" }), "latest");
    cluster.subscribe(STREAM.namespace, STREAM.name, "1.0");

    const first = await scene.sync();
    expect(totals(first)).toMatchObject({ copied: 2, failed: 0, refused: 0 });
    expect(first.code).toBe(0);
    expect(scene.tags()).toEqual({
      "1.0": `${cluster.registryHost}/web/app@${index.manifest.digest}`,
      latest: `${cluster.registryHost}/web/app@${single.manifest.digest}`,
    });
    expect(cluster.fires.length).toBe(1);

    forget(scene);
    const second = await scene.sync();
    expect(totals(second)).toMatchObject({ copied: 0, unchanged: 2, bytes: 0 });
    expect(source.ledger.entries.map(({ kind, method }) => `${method} ${kind}`).toSorted()).toEqual([
      "GET tags",
      "HEAD manifest",
      "HEAD manifest",
    ]);
    expect(cluster.ledger.entries.map(({ method }) => method)).toEqual(["GET"]);
    expect(cluster.registryLedger.entries).toEqual([]);
    expect(cluster.fires.length).toBe(1);
  });

  test("a moved tag is one copy of the new blobs and one publish", async () => {
    await using scene = await openScene();
    const { source, cluster } = scene;
    await pushTo(source, REPOSITORY, buildImage({ seed: "old" }), "1");
    await scene.sync();
    cluster.subscribe(STREAM.namespace, STREAM.name, "1");
    const before = cluster.fires.length;
    const moved = await pushTo(source, REPOSITORY, buildImage({ seed: "new" }), "1");
    forget(scene);
    const run = await scene.sync();
    expect(outcomes(run)).toMatchObject([
      { kind: "copied", digest: moved.manifest.digest, moved: { blobs: { pushed: 3 } } },
    ]);
    const blobs = source.ledger.entries.filter(({ kind, method }) => kind === "blob" && method === "GET");
    expect(blobs.length).toBe(new Set(blobs.map(({ path }) => path)).size);
    expect(
      cluster.registryLedger.entries.filter(({ kind, method }) => kind === "manifest" && method === "PUT")
        .length,
    ).toBe(1);
    expect(cluster.fires.length).toBe(before + 1);
  });

  test("storage: source imports the digest that was planned, in one request, and copies nothing", async () => {
    await using scene = await openScene();
    const { source, cluster } = scene;
    const one = await pushTo(source, REPOSITORY, buildIndex({ seed: "one" }), "1");
    const two = await pushTo(source, REPOSITORY, buildImage({ seed: "two" }), "2");
    const run = await scene.sync({ storage: "source" });
    expect(totals(run)).toMatchObject({ imported: 2, failed: 0, bytes: 0 });
    expect(scene.tags()).toEqual({
      1: `${source.host}/${REPOSITORY}@${one.manifest.digest}`,
      2: `${source.host}/${REPOSITORY}@${two.manifest.digest}`,
    });
    expect(cluster.ledger.entries.filter(({ path }) => path.endsWith("/imagestreamimports")).length).toBe(1);
    forget(scene);
    expect(totals(await scene.sync({ storage: "source" }))).toMatchObject({ unchanged: 2, imported: 0 });
    expect(cluster.ledger.entries.map(({ method }) => method)).toEqual(["GET"]);
  });

  test("storage: a repository gets the bytes, and the stream imports from there", async () => {
    await using between = await startRegistry();
    await using scene = await openScene({ registries: { [between.host]: { plainHttp: true } } });
    const image = await pushTo(scene.source, REPOSITORY, buildIndex({ seed: "one" }), "1");
    const run = await scene.sync({ storage: `${between.host}/mirror/app` });
    expect(totals(run)).toMatchObject({ imported: 1, failed: 0 });
    expect(scene.tags()).toEqual({ 1: `${between.host}/mirror/app@${image.manifest.digest}` });
    expect(between.digestOf("mirror/app", "1")).toBe(image.manifest.digest);
  });

  test("a tag that imports from elsewhere is refused, and with takeover becomes ours with its history kept and one rollout", async () => {
    await using scene = await openScene();
    const { source, cluster } = scene;
    const old = await pushTo(source, "elsewhere/app", buildImage({ seed: "old" }), "1");
    const ours = await pushTo(source, REPOSITORY, buildImage({ seed: "ours" }), "1");
    cluster.seedStream(STREAM.namespace, STREAM.name, {
      tags: {
        1: {
          from: `${source.host}/elsewhere/app:1`,
          scheduled: true,
          history: [
            {
              image: old.manifest.digest,
              reference: `${source.host}/elsewhere/app@${old.manifest.digest}`,
            },
          ],
        },
      },
    });
    cluster.subscribe(STREAM.namespace, STREAM.name, "1");
    const before = cluster.fires.length;
    const refused = await scene.sync();
    expect(outcomes(refused)).toMatchObject([{ kind: "refused", failure: { code: "STREAM_TAKEOVER" } }]);
    expect(refused.code).toBe(5);

    const taken = await scene.sync({ takeover: true });
    expect(outcomes(taken)).toMatchObject([{ kind: "copied", digest: ours.manifest.digest }]);
    expect(specTag(scene, "1")).toBeUndefined();
    const history =
      cluster.stream(STREAM.namespace, STREAM.name)?.status.tags?.find(({ tag }) => tag === "1")?.items ?? [];
    expect(history.map(({ image }) => image)).toEqual([ours.manifest.digest, old.manifest.digest]);
    expect(cluster.fires.length).toBe(before + 1);
    expect(totals(await scene.sync({ takeover: true }))).toMatchObject({ unchanged: 1 });
  });

  test("a spec tag that comes back after a takeover is contested, and its writer named", async () => {
    await using scene = await openScene();
    const { source, cluster } = scene;
    await pushTo(source, REPOSITORY, buildImage({ seed: "ours" }), "1");
    const from = { kind: "DockerImage", name: `${source.host}/elsewhere/app:1` };
    cluster.seedStream(STREAM.namespace, STREAM.name, { tags: { 1: { from: from.name } } });
    expect(totals(await scene.sync({ takeover: true }))).toMatchObject({ copied: 1 });
    expect(specTag(scene, "1")).toBeUndefined();
    cluster.editStream(STREAM.namespace, STREAM.name, "argocd-controller", (stream) => {
      stream.spec.tags = [
        ...(stream.spec.tags ?? []),
        {
          name: "1",
          from,
          generation: 1,
          importPolicy: { importMode: "Legacy" },
          annotations: null,
          referencePolicy: { type: "Source" },
        },
      ];
    });
    const contested = await scene.sync({ takeover: true });
    expect(outcomes(contested)).toMatchObject([
      {
        kind: "refused",
        failure: {
          code: "STREAM_CONTESTED",
          details: { found: expect.stringContaining("argocd-controller") },
        },
      },
    ]);
  });

  test("a second mirror or installation is refused what the first one owns", async () => {
    await using scene = await openScene();
    await pushTo(scene.source, REPOSITORY, buildImage(), "1");
    await scene.sync();
    const second = await scene.sync({ name: "other" });
    expect(outcomes(second)).toMatchObject([{ kind: "refused", failure: { code: "STREAM_OWNED" } }]);
  });

  test("prunes only its own tags, after their grace, and never on an empty listing", async () => {
    await using scene = await openScene();
    const { source, cluster } = scene;
    for (const tag of ["1", "2"]) await pushTo(source, REPOSITORY, buildImage({ seed: tag }), tag);
    const prune = { grace: "1s", atMost: "50%" };
    await scene.sync({ prune });
    source.untag(REPOSITORY, "2");
    expect(totals(await scene.sync({ prune }))).toMatchObject({ missing: 1, pruned: 0 });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(totals(await scene.sync({ prune }))).toMatchObject({ pruned: 1, unchanged: 1 });
    expect(Object.keys(scene.tags())).toEqual(["1"]);
    source.untag(REPOSITORY, "1");
    expect(totals(await scene.sync({ prune }))).toMatchObject({ pruned: 0, missing: 0 });
    expect(Object.keys(scene.tags())).toEqual(["1"]);
    expect(cluster.stream(STREAM.namespace, STREAM.name)).toBeDefined();
  });

  test("an index without platforms is refused before a byte moves", async () => {
    await using scene = await openScene();
    await pushTo(scene.source, REPOSITORY, buildIndex({ withoutPlatforms: true }), "1");
    const run = await scene.sync();
    expect(outcomes(run)).toMatchObject([{ kind: "refused", failure: { code: "INDEX_PLATFORM" } }]);
    expect(
      scene.cluster.registryLedger.entries.filter(({ method }) => method !== "GET" && method !== "HEAD"),
    ).toEqual([]);
  });

  test("one bad tag does not keep the others; its failure is an Event on the stream, counted up", async () => {
    await using scene = await openScene();
    const { source, cluster } = scene;
    await pushTo(source, REPOSITORY, buildImage({ seed: "good" }), "good");
    const bad = await pushTo(source, REPOSITORY, buildImage({ seed: "bad" }), "bad");
    const [blob] = bad.blobs.keys();
    if (blob) source.deleteBlob(REPOSITORY, blob);
    const run = await scene.sync();
    expect(run.code).toBe(1);
    expect(totals(run)).toMatchObject({ copied: 1, failed: 1 });
    await scene.sync();
    expect(cluster.objects("", "events")).toMatchObject([
      { reason: "SOURCE_BROKEN", count: 2, involvedObject: { kind: "ImageStream", name: "app" } },
    ]);
  });
});

test("a push that a LimitRange forbids says so, with the command that shows it", async () => {
  await using scene = await openScene();
  scene.cluster.setLimits("web", { images: 1 });
  for (const tag of ["1", "2"])
    await pushTo(scene.source, REPOSITORY, buildImage({ seed: `limit ${tag}`, layers: [500] }), tag);
  const refused = outcomes(await scene.sync()).find(({ kind }) => kind === "refused");
  expect(refused).toMatchObject({
    failure: { code: "TARGET_QUOTA", next: expect.stringContaining("oc describe limits,quota -n web") },
  });
});
