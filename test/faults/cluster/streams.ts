import { startCluster, type TestCluster } from "../../support/cluster/cluster.ts";
import type { StoredManifest } from "../content/content.ts";
import type { Ledger } from "../ledger.ts";
import { fallbackReferrers, type Shown } from "../oracle/referrers.ts";
import type { Random } from "../random.ts";
import type { TagChange } from "../registry/repository.ts";
import { type ClusterInjector, injectClusterFaults } from "./cluster-faults.ts";

export const NAMESPACE = "faults";

/** A cluster as a target: image streams, and the integrated registry that holds their images. */
export type StreamCluster = AsyncDisposable & {
  readonly cluster: TestCluster;
  readonly injector: ClusterInjector;
  readonly kubeconfigFile: string;
};

export type StreamClusterOptions = {
  readonly random: Random;
  readonly ledger: Ledger;
  readonly directory: string;
  readonly calm: boolean;
  /** Called before each request is answered. */
  readonly onRequest: () => void;
  /** Called after each request: streams may have changed. */
  readonly onAnswered: () => void;
};

export async function startStreamCluster({
  random,
  ledger,
  directory,
  calm,
  onRequest,
  onAnswered,
}: StreamClusterOptions): Promise<StreamCluster> {
  const cluster = await startCluster({ namespaces: [NAMESPACE], tls: random.chance(0.5) });
  const injector = injectClusterFaults(cluster, { random: random.fork("faults"), ledger, calm });
  for (const server of [cluster, cluster.registry])
    server.before(({ method, path, query }) => {
      ledger.note("target", `${method} ${path}${query === "" ? "" : `?${query}`}`);
      onRequest();
    });
  for (const each of [cluster.ledger, cluster.registryLedger]) each.onEntry(onAnswered);
  return {
    cluster,
    injector,
    kubeconfigFile: await cluster.writeKubeconfig(directory),
    [Symbol.asyncDispose]: () => cluster.close(),
  };
}

/** What a stream shows: its tags by their newest event, and the content that the integrated registry has for it. */
export function streamShown(cluster: TestCluster, name: string): Shown {
  const held = cluster.registryStore.repositories.get(`${NAMESPACE}/${name}`);
  const tags = new Map(
    (cluster.stream(NAMESPACE, name)?.status.tags ?? []).flatMap(({ tag, items }) => {
      const image = items?.[0]?.image;
      return image === undefined ? [] : [[tag, image] as const];
    }),
  );
  const manifest = (digest: string): StoredManifest | undefined => {
    const stored = [...(held?.manifests.values() ?? [])].find((each) => each.digest === digest);
    return stored && { mediaType: stored.mediaType, bytes: Buffer.from(stored.bytes) };
  };
  const blob = (digest: string): Buffer | undefined => {
    const known = [...(held?.blobs ?? [])].find((each) => each === digest);
    const bytes = known && cluster.registryStore.blobs.get(known);
    return bytes && Buffer.from(bytes);
  };
  const view = { manifest, blob };
  return { ...view, tags, referrers: (digest) => fallbackReferrers(view, tags, digest) };
}

/** Gives the events of a stream's tags that were not seen before, oldest first. The stream keeps all of them itself. */
export function streamEvents(
  cluster: TestCluster,
  name: string,
  now: () => number,
): () => readonly TagChange[] {
  const seen = new Map<string, number>();
  return () =>
    (cluster.stream(NAMESPACE, name)?.status.tags ?? []).flatMap(({ tag, items }) => {
      const events = (items ?? []).toReversed();
      const fresh = events.slice(seen.get(tag) ?? 0);
      seen.set(tag, events.length);
      return fresh.map(({ image }) => ({ at: now(), tag, digest: image }));
    });
}
