import { isDigest } from "../../../src/oci/digest.ts";
import { DOCKER_MANIFEST, isIndexType, OCI_ARTIFACT, OCI_MANIFEST } from "../../../src/oci/media-type.ts";
import { type StoredManifest, storeManifest } from "../registry/store.ts";
import { type Answer, refusal, type RegistryRequest } from "../registry/wire.ts";
import { mayDo } from "./access.ts";
import { ApiFailure } from "./failure.ts";
import { mapImage } from "./image-api.ts";
import { createImage, imageObject, readLoosely } from "./images.ts";
import { layersOf } from "./layers.ts";
import { latestEvent } from "./objects.ts";
import { pullBlob, pullManifest } from "./pull-through.ts";
import { userOfRequest } from "./registry-access.ts";
import { type IntegratedRegistry, localBlob } from "./registry-blobs.ts";
import { commitStream, contextOf, enforceLimits, findStream } from "./state.ts";
import { normalise } from "./stream-shape.ts";
import { prepareCreate } from "./streams.ts";

/** A manifest is visible when the stream's history names it, directly or through its index. */
export async function visibleManifest(
  registry: IntegratedRegistry,
  repository: string,
  reference: string,
): Promise<StoredManifest | undefined> {
  const { state, store } = registry;
  const [namespace = "", name = ""] = repository.split("/");
  const stream = findStream(state, namespace, name);
  const digest = isDigest(reference) ? reference : stream && latestEvent(stream, reference)?.image;
  if (!stream || !isDigest(digest) || !layersOf(state, stream).images[digest]) return undefined;
  for (const { manifests } of store.repositories.values()) {
    const stored = manifests.get(digest);
    if (stored) return stored;
  }
  return pullManifest(registry, stream, digest);
}

const IMAGE_TYPES = new Set([OCI_MANIFEST, DOCKER_MANIFEST]);

/** Blobs must be here or at an upstream, with the right size. The entries of an index are not checked. */
export async function checkNamed(
  registry: IntegratedRegistry,
  repository: string,
  { bytes, mediaType }: StoredManifest,
): Promise<Answer | undefined> {
  if (isIndexType(mediaType)) return undefined;
  if (!IMAGE_TYPES.has(mediaType) || mediaType === OCI_ARTIFACT)
    return refusal(400, "MANIFEST_INVALID", "manifest invalid", { mediaType });
  const { config, layers = [] } = readLoosely(bytes);
  for (const { digest, size } of [...(config ? [config] : []), ...layers]) {
    if (!isDigest(digest)) return refusal(400, "MANIFEST_INVALID", "manifest invalid");
    const local = localBlob(registry, repository, digest)?.length;
    const found = local ?? (await pullBlob(registry, repository, digest, "HEAD"))?.size;
    if (found === undefined) return refusal(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", digest);
    if (found !== size) return refusal(500, "UNKNOWN", "unknown error");
  }
  return undefined;
}

export async function acceptManifest(
  registry: IntegratedRegistry,
  repository: string,
  manifest: StoredManifest,
  tag: string | undefined,
  request: RegistryRequest,
): Promise<Answer | undefined> {
  const { state, store } = registry;
  const [namespace = "", name = ""] = repository.split("/");
  const { digest, mediaType, bytes } = manifest;
  const configDigest = isIndexType(mediaType) ? undefined : readLoosely(bytes).config?.digest;
  const config = isDigest(configDigest)
    ? (localBlob(registry, repository, configDigest) ??
      (await pullBlob(registry, repository, configDigest, "GET"))?.bytes)
    : undefined;
  const reference = `${state.registryHost}/${repository}@${digest}`;
  const image = imageObject({ bytes, mediaType, digest, config }, reference, { managed: true });
  const refused = guarded(() => {
    if (tag === undefined) createImage(state, image);
    else mapOrCreate(registry, { namespace, name, tag, image }, request);
  });
  if (!refused) storeManifest(store, repository, manifest);
  return refused;
}

/** A missing stream is created with the rights of the pusher; the registry does the rest with its own rights. */
function mapOrCreate(
  registry: IntegratedRegistry,
  mapping: Parameters<typeof mapImage>[1],
  request: RegistryRequest,
): void {
  const { state } = registry;
  const { namespace, name } = mapping;
  try {
    mapImage(state, mapping);
  } catch (error) {
    const missing =
      error instanceof ApiFailure &&
      error.code === 404 &&
      error.details?.kind === "imagestreammappings" &&
      error.details.name === name;
    if (!missing) throw error;
    const user = userOfRequest(registry, request);
    const allowed = user && mayDo(user, { verb: "create", resource: "imagestreams", namespace });
    if (!allowed || !state.namespaces.has(namespace))
      throw new ApiFailure(403, "Forbidden", `imagestreams is forbidden: "${name}" cannot be created`);
    const context = contextOf(state);
    const stream = prepareCreate(normalise({ metadata: { name } }, namespace, context), context);
    enforceLimits(state, stream, true);
    commitStream(state, stream);
    mapImage(state, mapping);
  }
}

/** Converts a refusal of the API server to a refusal of the registry. */
export function guarded(task: () => void): Answer | undefined {
  try {
    task();
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error;
    // neither says why: a limit, a quota, a missing right or namespace; a platform-less index by tag (§11)
    return error.code === 403
      ? refusal(403, "DENIED", "requested access to the resource is denied")
      : refusal(500, "UNKNOWN", "unknown error", {});
  }
}
