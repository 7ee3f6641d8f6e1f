import { makeCertificates } from "../test/support/certificates.ts";
import { startCluster } from "../test/support/cluster/cluster.ts";
import type { BenchNamespace } from "./tools.ts";

export type BenchCluster = AsyncDisposable & {
  readonly namespace: BenchNamespace;
  /** Since the start, by method. */
  requestsOf(server: "api" | "registry"): Promise<ReadonlyMap<string, number>>;
  requireTags(stream: string, count: number): void;
};

const NAMESPACE = "bench";

/** The test support's cluster, empty, in this process. */
export async function startBenchCluster(workspace: string): Promise<BenchCluster> {
  const cluster = await startCluster({ tls: true, namespaces: [NAMESPACE] });
  const { ca } = await makeCertificates();
  const kubeconfigFile = await cluster.writeKubeconfig(workspace);
  return {
    namespace: {
      kubeconfigFile,
      registryHost: cluster.registryHost,
      ca: ca.certFile,
      namespace: NAMESPACE,
    },
    async requestsOf(server) {
      const { entries } = server === "api" ? cluster.ledger : cluster.registryLedger;
      const byMethod = Map.groupBy(entries, ({ method }) => method);
      return new Map([...byMethod].map(([method, all]) => [method, all.length]));
    },
    requireTags(stream, count) {
      const tags = cluster.stream(NAMESPACE, stream)?.status?.tags ?? [];
      if (tags.length !== count)
        throw new Error(`${stream} has ${tags.length} tags where there should be ${count}`);
    },
    [Symbol.asyncDispose]: () => cluster.close(),
  };
}
