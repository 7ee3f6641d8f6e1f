import { expect, test } from "vitest";

import { loadConfig } from "../../src/config/file/load.ts";
import { openContext } from "../../src/sync/context.ts";
import type { Report } from "../../src/sync/report.ts";
import { syncMirrors } from "../../src/sync/sync.ts";
import { startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { SILENT } from "../support/registry/client.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import { writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { handClock, told } from "./scene.ts";

const images = Array.from({ length: 6 }, (_, version) => buildImage({ seed: `version ${version}` }));
const digestOf = (version: number): string | undefined => images[version]?.manifest.digest;

type World = AsyncDisposable & {
  readonly source: TestRegistry;
  readonly cluster: TestCluster;
  /** Moves the clock, so that the last answer of the source is too old. */
  readonly forward: (ms: number) => void;
  sync(): Promise<Report>;
};

/** A mirror whose tags are imported by the cluster: nothing is copied. */
async function openWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const source = stack.use(await startRegistry());
  const cluster = stack.use(await startCluster({ namespaces: ["web"] }));
  const file = await writeConfig(directory.path, {
    version: 1,
    registries: { [source.host]: { plainHttp: true } },
    clusters: { here: { kubeconfigFile: await cluster.writeKubeconfig(directory.path) } },
    mirrors: [
      {
        name: "app",
        source: `${source.host}/a/app`,
        target: "imagestream:web/app",
        storage: "source",
        tags: ["1", "2"],
      },
    ],
  });
  const { config } = await loadConfig({ file, env: {}, directory: directory.path });
  const { clock, forward } = handClock();
  for (const tag of ["1", "2"]) await pushTo(source, "a/app", images[0] as BuiltImage, tag);
  const owned = stack.move();
  return {
    source,
    cluster,
    forward,
    async sync() {
      await using context = openContext({ config, env: {}, log: SILENT });
      return await syncMirrors(config.mirrors, context, { clock });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The history of a tag of the stream, oldest first. */
function historyOf({ cluster }: World, tag: string): readonly string[] {
  const found = cluster.stream("web", "app")?.status.tags?.find((one) => one.tag === tag);
  return (found?.items ?? []).map(({ image }) => image).toReversed();
}

/** Between the plan and the import Tagferry claims the tags. There the source moves, and time passes. */
function moveAtClaim(world: World, times: number, seconds: number): void {
  let version = 0;
  world.cluster.before(async ({ method, path }) => {
    if (method !== "PATCH" || !path.endsWith("/imagestreams/app") || version >= times) return;
    version += 1;
    await pushTo(world.source, "a/app", images[version] as BuiltImage, "1");
    world.forward(seconds * 1_000);
  });
}

test("the source is asked again before an import: what moved meanwhile is never imported, and the new image is", async () => {
  await using world = await openWorld();
  moveAtClaim(world, 1, 60);
  expect(told(await world.sync())).toEqual({ app: { "1": "imported", "2": "imported" } });
  expect(historyOf(world, "1")).toEqual([digestOf(1)]);
  expect(historyOf(world, "2"), "a tag that did not move does not wait for the other").toEqual([digestOf(0)]);
});

test("a source that moves before every import fails its tag with SOURCE_MOVED, and nothing older is imported", async () => {
  await using world = await openWorld();
  let version = 0;
  world.cluster.before(() => world.forward(60_000));
  world.source.before(async ({ method, path }) => {
    // the answer to the plan's question is out of date at once
    if (method !== "HEAD" || !path.endsWith("/manifests/1")) return;
    version = (version + 1) % images.length;
    await pushTo(world.source, "a/app", images[version] as BuiltImage, "1");
  });
  expect(told(await world.sync())).toEqual({ app: { "1": "SOURCE_MOVED", "2": "imported" } });
  expect(historyOf(world, "1")).toEqual([]);
});

test("within five seconds the answer of the plan holds, and the source is not asked again", async () => {
  await using world = await openWorld();
  world.cluster.before(({ path }) => (path.endsWith("imagestreamimports") ? undefined : world.forward(100)));
  await world.sync();
  const asked = world.source.ledger.entries.filter(
    ({ method, path, authorization }) =>
      method === "HEAD" && path.endsWith("/manifests/1") && authorization === undefined,
  );
  expect(asked).toHaveLength(1);
});
