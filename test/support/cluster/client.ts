import { writeFile } from "node:fs/promises";

import { type Cluster, type ClusterOptions, openCluster } from "../../../src/openshift/cluster.ts";
import { openStreams, type Streams, type StreamsOptions } from "../../../src/openshift/streams.ts";
import { SILENT } from "../registry/client.ts";
import { temporaryDirectory } from "../temporary.ts";
import type { TestCluster } from "./cluster.ts";

export type ClusterClient = AsyncDisposable & {
  readonly api: Cluster;
  /** Streams as another installation sees them. */
  streams(options?: Partial<StreamsOptions>): Streams;
};

/** A client of a test cluster that retries after short pauses. */
export async function clusterClient(
  { kubeconfig, token }: Pick<TestCluster, "kubeconfig" | "token">,
  { as = token, ...options }: Partial<ClusterOptions> & { readonly as?: string } = {},
): Promise<ClusterClient> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const kubeconfigFile = directory.join("kubeconfig");
  await writeFile(kubeconfigFile, kubeconfig.replace(token, as));
  const api = stack.use(
    await openCluster({
      kubeconfigFile,
      env: {},
      log: SILENT,
      retry: { attempts: 3, baseMs: 1, capMs: 1 },
      ...options,
    }),
  );
  const owned = stack.move();
  return {
    api,
    streams: (others = {}) => openStreams(api, { log: SILENT, owner: "test", ...others }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
