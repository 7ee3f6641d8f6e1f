import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { startBenchCluster } from "./cluster.ts";
import { type Fleet, seedFleet, seedImage } from "./content.ts";
import { type BenchRegistry, startBenchRegistry } from "./servers.ts";
import { streamOf, type Task, type Tool } from "./tools.ts";

/** What is measured. `--quick` makes everything smaller, to see that it works. */
export type Scenario = {
  readonly name: string;
  /** skopeo does not take part in what asks for our memory alone. */
  readonly tools: readonly Tool[];
  /** What must not be passed, checked on every run. */
  readonly peakRssMaxBytes?: number;
  prepare(workspace: string): Promise<Prepared>;
};

/** What requests are counted at. */
export type Counted = Pick<BenchRegistry, "requests">;

export type Prepared = AsyncDisposable & {
  readonly task: Task;
  readonly registries: { readonly source: Counted; readonly target?: Counted; readonly cluster?: Counted };
  /** Before every run: the target as the scenario wants it. */
  reset(): Promise<void>;
  /** After every run: whether the work was done. */
  check(): Promise<void>;
};

const MEBIBYTE = 1024 * 1024;
const BOTH: readonly Tool[] = ["tagferry", "skopeo"];

export function scenarios({ quick }: { readonly quick: boolean }): readonly Scenario[] {
  const size = (whole: number, small: number): number => (quick ? small : whole);
  const big = { layers: sixLayers(size(1024, 96) * MEBIBYTE) };
  const small: Fleet = { repositories: size(40, 8), tags: 5, layerBytes: 200_000 };
  return [
    copyScenario("1 image, 6 layers, HTTP", { ...big, tls: false, to: "registry" }),
    copyScenario("1 image, 6 layers, TLS", { ...big, tls: true, to: "registry" }),
    copyScenario("1 image, 6 layers, to an oci: layout", { ...big, tls: false, to: "layout" }),
    fleetScenario("small images with shared layers", { fleet: small, unchanged: false }),
    fleetScenario("unchanged tags", {
      fleet: { repositories: size(10, 4), tags: size(100, 10), layerBytes: 1_000 },
      unchanged: true,
    }),
    {
      ...copyScenario("1 large blob, memory", {
        layers: [size(2000, 200) * MEBIBYTE],
        tls: false,
        to: "registry",
      }),
      tools: ["tagferry"],
      peakRssMaxBytes: 130_000_000,
    },
    {
      ...fleetScenario("small images, memory", {
        fleet: { ...small, repositories: size(100, 20) },
        unchanged: false,
      }),
      tools: ["tagferry"],
      peakRssMaxBytes: 130_000_000,
    },
    streamsScenario("1 large blob into a stream, memory", {
      seed: async (source) => {
        await seedImage(source, {
          repository: "team/big",
          tag: "v1",
          layers: [size(2000, 200) * MEBIBYTE],
        });
        return ["team/big"];
      },
      tags: 1,
    }),
    streamsScenario(`${size(500, 100)} small images into streams, memory`, {
      seed: (source) => seedFleet(source, { ...small, repositories: size(100, 20) }),
      tags: small.tags,
    }),
  ];
}

function sixLayers(totalBytes: number): number[] {
  return Array.from({ length: 6 }, () => Math.floor(totalBytes / 6));
}

type CopyOptions = {
  readonly layers: readonly number[];
  readonly tls: boolean;
  readonly to: "registry" | "layout";
};

function copyScenario(name: string, { layers, tls, to }: CopyOptions): Scenario {
  return {
    name,
    tools: BOTH,
    async prepare(workspace) {
      await using stack = new AsyncDisposableStack();
      const source = stack.use(await startBenchRegistry(workspace, "source", { tls }));
      const target = stack.use(await startBenchRegistry(workspace, "target", { tls }));
      await seedImage(source, { repository: "team/big", tag: "v1", layers });
      const directory = join(workspace, "layout");
      const what = { kind: "copy", repository: "team/big", tag: "v1" } as const;
      const owned = stack.move();
      return {
        task: { workspace, source, target: to === "registry" ? target : { directory }, what },
        registries: { source, ...(to === "registry" ? { target } : {}) },
        async reset() {
          await target.empty();
          await rm(directory, { recursive: true, force: true });
        },
        async check() {
          if (to === "registry") await requireTags(target, "team/big", 1);
        },
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}

type FleetOptions = { readonly fleet: Fleet; readonly unchanged: boolean };

function fleetScenario(name: string, { fleet, unchanged }: FleetOptions): Scenario {
  const images = fleet.repositories * fleet.tags;
  return {
    name: `${images} ${name}`,
    tools: BOTH,
    async prepare(workspace) {
      await using stack = new AsyncDisposableStack();
      const source = stack.use(await startBenchRegistry(workspace, "source"));
      const target = stack.use(await startBenchRegistry(workspace, "target"));
      const repositories = await seedFleet(source, fleet);
      if (unchanged) await seedFleet(target, fleet);
      const owned = stack.move();
      return {
        task: { workspace, source, target, what: { kind: "sync", repositories } },
        registries: { source, target },
        reset: async () => {
          if (!unchanged) await target.empty();
        },
        async check() {
          for (const repository of repositories) await requireTags(target, repository, fleet.tags);
        },
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}

type StreamsOptions = {
  readonly seed: (source: BenchRegistry) => Promise<readonly string[]>;
  readonly tags: number;
};

/** Into the test support's cluster, over TLS: real enough for memory and requests, not for time. */
function streamsScenario(name: string, { seed, tags }: StreamsOptions): Scenario {
  return {
    name,
    tools: ["tagferry"],
    peakRssMaxBytes: 170_000_000,
    async prepare(workspace) {
      await using stack = new AsyncDisposableStack();
      const source = stack.use(await startBenchRegistry(workspace, "source"));
      const repositories = await seed(source);
      let round = 0;
      let cluster = await startBenchCluster(workspace);
      stack.defer(() => cluster[Symbol.asyncDispose]());
      const task: { -readonly [Key in keyof Task]: Task[Key] } = {
        workspace,
        source,
        target: cluster.namespace,
        what: { kind: "sync", repositories },
      };
      const owned = stack.move();
      return {
        task,
        registries: {
          source,
          target: { requests: () => cluster.requestsOf("registry") },
          cluster: { requests: () => cluster.requestsOf("api") },
        },
        async reset() {
          if ((round += 1) === 1) return;
          await cluster[Symbol.asyncDispose]();
          cluster = await startBenchCluster(workspace);
          task.target = cluster.namespace;
        },
        async check() {
          for (const repository of repositories) cluster.requireTags(streamOf(repository), tags);
        },
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}

/** A benchmark of work that was not done would be worth nothing. */
async function requireTags({ storage }: BenchRegistry, repository: string, count: number): Promise<void> {
  const directory = join(storage, "docker/registry/v2/repositories", repository, "_manifests/tags");
  const tags = await readdir(directory).catch(() => []);
  if (tags.length !== count)
    throw new Error(`${repository} has ${tags.length} tags where there should be ${count}`);
}
