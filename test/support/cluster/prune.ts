import { isDigest } from "../../../src/oci/digest.ts";
import { dropManifest, type RegistryStore } from "../registry/store.ts";
import { layersOf } from "./layers.ts";
import type { ClusterState } from "./state.ts";

/**
 * Acts like the nightly pruner and the registry's hard prune: removes images that no stream names, then content that
 * only they used. Ignores the age.
 */
export function pruneImages(state: ClusterState, store: RegistryStore): void {
  const kept = new Set<string>();
  const blobs = new Set<string>();
  for (const stream of state.streams.values()) {
    const layers = layersOf(state, stream);
    for (const digest of Object.keys(layers.images)) kept.add(digest);
    for (const digest of Object.keys(layers.blobs)) blobs.add(digest);
  }
  for (const digest of state.images.keys()) if (!kept.has(digest)) state.images.delete(digest);
  for (const [name, repository] of store.repositories) {
    for (const digest of repository.manifests.keys())
      if (!kept.has(digest)) dropManifest(store, name, digest);
    for (const digest of repository.blobs) if (!blobs.has(digest)) repository.blobs.delete(digest);
  }
  for (const digest of store.blobs.keys())
    if (isDigest(digest) && !blobs.has(digest)) store.blobs.delete(digest);
}
