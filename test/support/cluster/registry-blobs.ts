import type { Digest } from "../../../src/oci/digest.ts";
import { readBlob, type RegistryStore, storeBlob } from "../registry/store.ts";
import type { RegistryRequest } from "../registry/wire.ts";
import { mayDo } from "./access.ts";
import type { ApiServer } from "./api.ts";
import { layersOf } from "./layers.ts";
import { userOfRequest } from "./registry-access.ts";
import { findStream } from "./state.ts";

export type IntegratedRegistry = ApiServer & { readonly store: RegistryStore; readonly scheme: string };

/**
 * A blob that was pushed here, or that is in the registry and named by the stream. Never a blob that only an upstream
 * has.
 */
export function localBlob(
  { state, store }: IntegratedRegistry,
  repository: string,
  digest: Digest,
): Uint8Array | undefined {
  const linked = readBlob(store, repository, digest);
  if (linked) return linked;
  const [namespace = "", name = ""] = repository.split("/");
  const stream = findStream(state, namespace, name);
  return stream && layersOf(state, stream).blobs[digest] ? store.blobs.get(digest) : undefined;
}

/** If access to the source is denied, the mount becomes an upload. */
export function mountBlob(
  registry: IntegratedRegistry,
  repository: string,
  digest: Digest,
  from: string,
  request: RegistryRequest,
): boolean {
  const [namespace = "", name] = from.split("/");
  const user = userOfRequest(registry, request);
  if (!user || !mayDo(user, { verb: "get", resource: "imagestreams/layers", namespace, name })) return false;
  const bytes = localBlob(registry, from, digest);
  if (bytes) storeBlob(registry.store, repository, bytes, digest);
  return bytes !== undefined;
}
