import { writeFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { loadConfig } from "../../src/config/file/load.ts";
import { openLayout } from "../../src/layout/layout.ts";
import { limit } from "../../src/lib/limit.ts";
import type { Digest } from "../../src/oci/digest.ts";
import type { Action, Plan } from "../../src/plan/action.ts";
import { checkTagRules } from "../../src/plan/patterns.ts";
import { applyPlan } from "../../src/sync/apply.ts";
import { openContext } from "../../src/sync/context.ts";
import type { Outcome } from "../../src/sync/report.ts";
import { startCluster } from "../support/cluster/cluster.ts";
import {
  allBlobs,
  allManifests,
  buildIndex,
  buildSbom,
  cosignTag,
  pushTo,
  signCosign,
  withReferrers,
} from "../support/images/images.ts";
import { SILENT } from "../support/registry/client.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const plain = buildIndex({ layers: 2 });
const sbom = buildSbom(plain);
const image = signCosign(withReferrers(plain, sbom));
const { digest } = plain.manifest;

describe("an Action that pushes without publishing", () => {
  test("brings an image, its children and its referrers to a registry, and writes no tag", async () => {
    await using scene = await openScene();
    await using target = await startRegistry();
    const to = { target: `${target.host}/mirror/app`, hosts: [target.host] };
    expect(await scene.apply(to, push("1"))).toMatchObject([
      { kind: "pushed", tag: "1", digest, moved: { referrers: 2, blobs: { pushed: blobsOf() } } },
    ]);
    expect(target.tags("mirror/app")).toEqual([]);
    expect(target.missing("mirror/app", digest)).toEqual([]);
    expect(target.missing("mirror/app", sbom.manifest.digest)).toEqual([]);
    target.ledger.clear();
    expect(await scene.apply(to, publish("1"))).toMatchObject([
      { kind: "copied", moved: { bytes: 0, blobs: { pushed: 0 }, referrers: 2 } },
    ]);
    expect(target.tags("mirror/app").toSorted()).toEqual(["1", cosignTag(digest)].toSorted());
    const writes = target.ledger.find({ method: "PUT", kind: "manifest" });
    expect(writes.map(({ reference }) => reference)).toEqual([cosignTag(digest), "1"]);
  });

  test("brings an image to a layout, where no entry has a name", async () => {
    await using scene = await openScene();
    const directory = scene.directory.join("layout");
    const to = { target: `oci:${directory}`, hosts: [] };
    expect(await scene.apply(to, push("1"))).toMatchObject([{ kind: "pushed", tag: "1", digest }]);
    await using layout = await openLayout(directory);
    expect(await Array.fromAsync(layout.listing())).toEqual([]);
    for (const { digest: one } of allManifests(plain)) expect(await layout.resolve(one)).toBeDefined();
    expect(await Array.fromAsync(layout.referrers(digest))).toMatchObject([
      { descriptor: { digest: sbom.manifest.digest } },
    ]);
  });

  test("stores the bytes for a stream, and neither claims nor changes the stream", async () => {
    await using scene = await openScene();
    await using cluster = await startCluster({ namespaces: ["web"] });
    const kubeconfigFile = await cluster.writeKubeconfig(scene.directory.path);
    const to = {
      target: "imagestream:web/app",
      hosts: [cluster.registryHost],
      clusters: { here: { kubeconfigFile, registry: cluster.registryHost, owner: "test" } },
    };
    expect(await scene.apply(to, push("1"))).toMatchObject([{ kind: "pushed", tag: "1", digest }]);
    expect(cluster.stream("web", "app")).toBeUndefined();
    for (const blob of allBlobs(plain).keys()) expect(cluster.registryStore.blobs.has(blob)).toBe(true);
    for (const manifest of allManifests(plain)) expect(cluster.image(manifest.digest)).toBeDefined();

    cluster.subscribe("web", "app", "1");
    cluster.registryLedger.clear();
    expect(await scene.apply(to, publish("1"))).toMatchObject([
      { kind: "copied", moved: { bytes: 0, blobs: { pushed: 0 } } },
    ]);
    expect(cluster.fires.map(({ to: resolved }) => resolved.endsWith(digest))).toEqual([true]);
    const version = cluster.stream("web", "app")?.metadata.resourceVersion;
    await scene.apply(to, push("1"));
    expect(cluster.stream("web", "app")?.metadata.resourceVersion).toBe(version);
    expect(cluster.fires).toHaveLength(1);
  });

  test("fails alone: what is published in the same plan is published", async () => {
    await using scene = await openScene();
    await using target = await startRegistry();
    const to = { target: `${target.host}/mirror/app`, hosts: [target.host] };
    const gone: Action = { ...push("2"), image: { ...descriptor(), digest: `sha256:${"0".repeat(64)}` } };
    expect(await scene.apply(to, gone, publish("1"))).toMatchObject([
      { kind: "failed", tag: "2", failure: { code: "MANIFEST_UNKNOWN" } },
      { kind: "copied", tag: "1" },
    ]);
  });
});

type To = { readonly target: string; readonly hosts: readonly string[]; readonly clusters?: object };

type Scene = AsyncDisposable & {
  readonly directory: TemporaryDirectory;
  readonly source: TestRegistry;
  /** Applies these Actions of a mirror from the source to a target, as `sync` would. */
  apply(to: To, ...actions: readonly Action[]): Promise<readonly Outcome[]>;
};

/** A source with the image. Each plan is applied by clients that know nothing of the plans before. */
async function openScene(): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const source = stack.use(await startRegistry());
  await pushTo(source, "team/app", image, "1");
  const owned = stack.move();
  return {
    directory,
    source,
    async apply({ target, hosts, clusters = {} }, ...actions) {
      const file = directory.join("tagferry.yaml");
      const from = `${source.host}/team/app`;
      const config = {
        version: 1,
        registries: Object.fromEntries([source.host, ...hosts].map((host) => [host, { plainHttp: true }])),
        clusters,
        mirrors: [{ name: "app", source: from, target, tags: ["1", "2"] }],
      };
      await writeFile(file, JSON.stringify(config)); // JSON is YAML
      const loaded = await loadConfig({ file, env: {}, directory: "/", checks: [checkTagRules] });
      await using context = openContext({ config: loaded.config, env: {}, log: SILENT });
      const [mirror] = loaded.config.mirrors;
      if (!mirror) throw new Error("the test's configuration has no mirror");
      const plan: Plan = {
        mirror: "app",
        actions: actions.map((action) => ({ ...action, from: { ...action.from, source: from } })),
        warnings: [],
      };
      const now = new Date();
      return await applyPlan(plan, mirror, context, { now, watch: {}, copies: limit(4) });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function descriptor(): { readonly mediaType: string; readonly digest: Digest; readonly size: number } {
  return { mediaType: plain.manifest.mediaType, digest, size: plain.manifest.bytes.length };
}

function push(tag: string): Extract<Action, { readonly kind: "push" }> {
  return { kind: "push", ...base(tag), image: descriptor(), reason: "before it is published" };
}

function publish(tag: string): Action {
  return { kind: "create", ...base(tag), image: descriptor(), takeover: false, reason: "new" };
}

function base(tag: string): Pick<Action, "mirror" | "tag" | "from" | "readAt"> {
  return { mirror: "app", tag, from: { source: "", tag }, readAt: new Date().toISOString() };
}

function blobsOf(): number {
  return allBlobs(image).size;
}
