import { startCluster, type ClusterOptions, type TestCluster } from "./cluster/cluster.ts";
import { startRegistry, type TestRegistry } from "./registry/registry.ts";
import { type Run, tagferry, writeConfig } from "./tagferry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "./temporary.ts";

export const STREAM = { namespace: "web", name: "app" } as const;
export const REPOSITORY = "library/app";

/** A source registry, a cluster, and one mirror between them. */
export type Scene = AsyncDisposable & {
  readonly directory: TemporaryDirectory;
  readonly source: TestRegistry;
  readonly cluster: TestCluster;
  /** Runs `tagferry sync -o json` with the mirror; keys of it may be changed. */
  sync(mirror?: object, options?: { readonly signal?: AbortSignal }): Promise<Run>;
  /** The references that the tags of the stream point to. */
  tags(): Record<string, string | undefined>;
};

export async function openScene(
  options: { readonly cluster?: ClusterOptions; readonly registries?: object } = {},
): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const source = stack.use(await startRegistry());
  const cluster = stack.use(await startCluster({ namespaces: [STREAM.namespace], ...options.cluster }));
  const kubeconfigFile = await cluster.writeKubeconfig(directory.path);
  const owned = stack.move();
  return {
    directory,
    source,
    cluster,
    async sync(mirror = {}, { signal } = {}) {
      const config = await writeConfig(directory.path, {
        version: 1,
        registries: {
          [source.host]: { plainHttp: true },
          [cluster.registryHost]: { plainHttp: true },
          ...options.registries,
        },
        clusters: { here: { kubeconfigFile, registry: cluster.registryHost, owner: "test" } },
        mirrors: [
          {
            name: "app",
            source: `${source.host}/${REPOSITORY}`,
            target: "imagestream:web/app",
            tags: { all: true },
            ...mirror,
          },
        ],
      });
      return tagferry(["sync", "-c", config, "-o", "json"], signal ? { signal } : {});
    },
    tags() {
      const { tags } = cluster.stream(STREAM.namespace, STREAM.name)?.status ?? {};
      return Object.fromEntries(
        (tags ?? []).map(({ tag, items }) => [tag, items?.[0]?.dockerImageReference]),
      );
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
