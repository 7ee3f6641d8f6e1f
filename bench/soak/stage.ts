import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";

import { startCluster, type TestCluster } from "../../test/support/cluster/cluster.ts";
import { freePort } from "../../test/support/free-port.ts";
import { buildImage, pushTo } from "../../test/support/images/images.ts";
import { openInstallation } from "../../test/support/installation.ts";
import { startRedis, type TestRedis } from "../../test/support/redis.ts";
import { startRegistry, type TestRegistry } from "../../test/support/registry/registry.ts";
import { createRegistryStore } from "../../test/support/registry/store.ts";
import { temporaryDirectory } from "../../test/support/temporary.ts";
import {
  NAMESPACE,
  registryLedger,
  type SoakTag,
  sourceRepository,
  streamLedger,
  type TargetLedger,
  targetRepository,
} from "./moves.ts";
import type { StartOptions } from "./processes.ts";

const STREAM_MIRRORS = 14;
const REGISTRY_MIRRORS = 6;
const TAGS = ["v0", "v1", "v2"];
export const DEAD_MIRROR = "dead";

/** Everything around the processes: Redis, a source that can be restarted, a source that is dead, and two kinds of targets. */
export type Stage = AsyncDisposable & {
  readonly redis: TestRedis;
  readonly cluster: TestCluster;
  readonly target: TestRegistry;
  readonly tags: readonly SoakTag[];
  readonly processes: Omit<StartOptions, "onEnded">;
  source(): TestRegistry;
  restartSource(afterMs: () => Promise<void>): Promise<void>;
  /** Pushes a new image under a tag of the source. */
  move(entry: SoakTag): Promise<void>;
  ledger(): TargetLedger;
};

export async function openStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  // what is measured is what is installed
  const { bin } = stack.use(await openInstallation());
  const directory = stack.use(await temporaryDirectory());
  const redis = stack.use(await startRedis({ appendOnly: true }));
  const cluster = stack.use(await startCluster({ namespaces: [NAMESPACE] }));
  const targetStore = createRegistryStore();
  const { seen, putManifest } = registryLedger(targetStore);
  const target = stack.use(await startRegistry({ store: targetStore, hooks: { putManifest } }));
  const store = createRegistryStore();
  const port = await freePort();
  let source = await startRegistry({ store, port });
  stack.defer(() => source[Symbol.asyncDispose]());
  const tags = soakTags();
  const move = async (entry: SoakTag): Promise<void> => {
    const seed = `${entry.mirror}-${entry.tag}-${entry.moves.length}`;
    const image = buildImage({ seed, layers: [3_000, 1_000] });
    // before it is there: the daemon may be faster than this function
    entry.moves.push(image.manifest.digest);
    await pushTo(source, sourceRepository(entry.mirror), image, entry.tag);
  };
  for (const entry of tags) await move(entry);
  const jobKey = directory.join("job-key");
  await writeFile(jobKey, "the key of the soak\n");
  const dead = stack.use(await startSilent());
  const file = directory.join("tagferry.yaml");
  const config = {
    ...configOf(tags, { source: source.host, target: target.host, dead: dead.host }),
    clusters: {
      here: {
        kubeconfigFile: await cluster.writeKubeconfig(directory.path),
        registry: cluster.registryHost,
        owner: "soak",
      },
    },
    registries: Object.fromEntries(
      [source.host, target.host, dead.host, cluster.registryHost].map((host) => [host, { plainHttp: true }]),
    ),
    daemon: { redis: redis.url, grace: "5s", jobKeyFile: jobKey },
  };
  await writeFile(file, JSON.stringify(config));
  const owned = stack.move();
  return {
    redis,
    cluster,
    target,
    tags,
    processes: { bin, file, directory },
    source: () => source,
    async restartSource(pause) {
      await source[Symbol.asyncDispose]();
      await pause();
      source = await startRegistry({ store, port });
    },
    move,
    ledger: () => new Map([...seen, ...streamLedger(cluster, tags)]),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function soakTags(): SoakTag[] {
  const mirrors = Array.from({ length: STREAM_MIRRORS + REGISTRY_MIRRORS }, (_, at) => ({
    mirror: `app${at}`,
    target: at < STREAM_MIRRORS ? ("stream" as const) : ("registry" as const),
  }));
  return mirrors.flatMap((mirror) => TAGS.map((tag) => ({ ...mirror, tag, moves: [] })));
}

type Hosts = { readonly source: string; readonly target: string; readonly dead: string };

/** Every second mirror has a jitter: its jobs wait in the queue for a time of the wall clock. */
function configOf(tags: readonly SoakTag[], hosts: Hosts): Record<string, unknown> {
  const mirrors = [...new Map(tags.map((entry) => [entry.mirror, entry])).values()];
  return {
    version: 1,
    defaults: { schedule: "*/10 * * * * *", referrers: false, tags: { all: true } },
    mirrors: [
      { name: DEAD_MIRROR, source: `${hosts.dead}/team/dead`, target: `${hosts.target}/copies/dead` },
      ...mirrors.map(({ mirror, target }, position) => ({
        name: mirror,
        source: `${hosts.source}/${sourceRepository(mirror)}`,
        target:
          target === "stream"
            ? `imagestream:${NAMESPACE}/${mirror}`
            : `${hosts.target}/${targetRepository(mirror)}`,
        ...(position % 2 === 0 ? {} : { jitter: "2s" }),
      })),
    ],
  };
}

/** A source that accepts connections and never answers. */
async function startSilent(): Promise<AsyncDisposable & { readonly host: string }> {
  const server = createServer((socket) => socket.on("error", () => {}).resume());
  const port = await freePort();
  await new Promise<void>((resolve) => {
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}
