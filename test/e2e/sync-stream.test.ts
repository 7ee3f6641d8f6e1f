import { describe, expect, test } from "vitest";

import { startCluster } from "../support/cluster.ts";
import { buildIndex, buildImage, pushTo } from "../support/images.ts";
import { startRegistry } from "../support/registry.ts";
import { tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";

async function startScene({ storage = "integrated", more = {} }: { storage?: string; more?: object } = {}) {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const source = stack.use(await startRegistry());
  const cluster = stack.use(await startCluster({ namespaces: ["web"] }));
  const kubeconfigFile = await cluster.writeKubeconfig(directory.path);
  const config = await writeConfig(directory.path, {
    version: 1,
    registries: {
      [source.host]: { plainHttp: true },
      [cluster.registryHost]: { plainHttp: true },
      [cluster.publicRegistryHost]: { plainHttp: true },
    },
    clusters: { here: { kubeconfigFile, owner: "test" } },
    mirrors: [
      {
        name: "app",
        source: `${source.host}/library/app`,
        target: "imagestream:web/app",
        storage,
        tags: { all: true },
        ...more,
      },
    ],
  });
  const owned = stack.move();
  return { directory, source, cluster, config, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe("sync into an image stream", () => {
  test("copies into the integrated registry, and the second run does nothing", async () => {
    await using scene = await startScene();
    const { source, cluster, config } = scene;
    const index = await pushTo(source, "library/app", buildIndex({ seed: "one" }), "1.0");
    const single = await pushTo(source, "library/app", buildImage({ seed: "two" }), "latest");
    cluster.subscribe("web", "app", "1.0");

    const first = await tagferry(["sync", "-c", config, "-o", "json"]);
    expect(first.stderr).not.toContain("INTERNAL");
    expect(JSON.parse(first.stdout).totals).toMatchObject({ copied: 2, failed: 0, refused: 0 });
    expect(first.code).toBe(0);
    const tags = cluster.stream("web", "app")?.status.tags ?? [];
    expect(tags.map(({ tag, items }) => [tag, items?.[0]?.image])).toEqual([
      ["1.0", index.manifest.digest],
      ["latest", single.manifest.digest],
    ]);

    source.ledger.clear();
    cluster.ledger.clear();
    cluster.registryLedger.clear();
    const fires = cluster.fires.length;
    const second = await tagferry(["sync", "-c", config, "-o", "json"]);
    expect(JSON.parse(second.stdout).totals).toMatchObject({ copied: 0, unchanged: 2, bytes: 0 });
    expect(source.ledger.entries.map(({ kind, method }) => `${method} ${kind}`).toSorted()).toEqual([
      "GET tags",
      "HEAD manifest",
      "HEAD manifest",
    ]);
    expect(cluster.ledger.entries.map(({ method }) => method)).toEqual(["GET"]);
    expect(cluster.registryLedger.entries).toEqual([]);
    expect(cluster.fires.length).toBe(fires);
  });
});
