import { type Digest, isDigest } from "../../src/oci/digest.ts";
import { DOCKER_MANIFEST, isIndexType, OCI_ARTIFACT, OCI_MANIFEST } from "../../src/oci/media-type.ts";
import { mayDo } from "./cluster-access.ts";
import type { ApiServer } from "./cluster-api.ts";
import { ApiFailure } from "./cluster-failure.ts";
import { mapImage, removeImage } from "./cluster-image-api.ts";
import { createImage, imageObject, readLoosely } from "./cluster-images.ts";
import { latestEvent } from "./cluster-objects.ts";
import { pullBlob, pullManifest } from "./cluster-pull-through.ts";
import { checkAccess, tokenAnswer, userOfRequest } from "./cluster-registry-access.ts";
import {
  commitStream,
  contextOf,
  enforceImageSize,
  enforceLimits,
  findStream,
  isReferenced,
} from "./cluster-state.ts";
import { layersOf } from "./cluster-stream-api.ts";
import { normalise, prepareCreate } from "./cluster-streams.ts";
import type { Behaviour } from "./registry-behaviour.ts";
import { openHandler, type RegistryHooks } from "./registry-handler.ts";
import {
  readBlob,
  type RegistryStore,
  storeBlob,
  type StoredManifest,
  storeManifest,
} from "./registry-store.ts";
import { type Answer, refusal, type RegistryRequest } from "./registry-wire.ts";

/** Docker distribution with OpenShift's changes: streams decide what is visible, and pushing a tag writes the stream. */
const OPENSHIFT: Partial<Behaviour> = {
  referrersApi: false,
  checkContentRange: false,
  deleteTags: false,
  tagOrder: "pushed",
};

export type IntegratedRegistry = ApiServer & { readonly store: RegistryStore; readonly scheme: string };

export function integratedRegistry(
  registry: IntegratedRegistry,
  behaviour: Partial<Behaviour> = {},
): (request: RegistryRequest) => Promise<Answer> {
  const { store, scheme } = registry;
  const { handle } = openHandler({
    store,
    behaviour: { ...OPENSHIFT, ...behaviour },
    hooks: hooksOf(registry),
    url: () => "",
    cdnUrl: undefined,
  });
  return async (request) => {
    if (request.path === "/openshift/token") return tokenAnswer(registry, request);
    const answer = await handle(request);
    const better = answer.status === 404 ? await insteadOfUnknown(registry, request) : undefined;
    return decorated(better ?? answer, `${scheme}://${request.headers.host}`);
  };
}

/** Locations are absolute, by the host the client used. */
function decorated(answer: Answer, origin: string): Answer {
  const { location } = answer.headers;
  return {
    ...answer,
    headers: {
      ...answer.headers,
      "x-registry-supports-signatures": "1",
      ...(typeof location === "string" && location.startsWith("/")
        ? { location: `${origin}${location}` }
        : {}),
    },
  };
}

/** What is not here may be at an upstream the stream's status names; a missing stream has an error of its own. */
async function insteadOfUnknown(
  registry: IntegratedRegistry,
  { kind, method, repository, reference }: RegistryRequest,
): Promise<Answer | undefined> {
  if (method !== "GET" && method !== "HEAD") return undefined;
  const [namespace = "", name = ""] = repository.split("/");
  if (kind === "manifest" && !isDigest(reference) && !findStream(registry.state, namespace, name))
    return refusal(404, "NAME_UNKNOWN", "repository name not known to registry", { name: repository });
  if (kind !== "blob" || !isDigest(reference)) return undefined;
  const pulled = await pullBlob(registry, repository, reference, method);
  if (!pulled) return undefined;
  return {
    status: 200,
    headers: {
      "content-type": "application/octet-stream",
      "docker-content-digest": reference,
      "docker-distribution-api-version": "registry/2.0",
      // unquoted, and without Cache-Control: the one way to tell it from a blob that is here
      etag: reference,
      ...(method === "HEAD" ? { "content-length": pulled.size } : {}),
    },
    ...(pulled.bytes ? { body: pulled.bytes } : {}),
  };
}

function hooksOf(registry: IntegratedRegistry): Partial<RegistryHooks> {
  const { state, store } = registry;
  return {
    authorize: (request) => {
      const refused = checkAccess(registry, request);
      if (refused) return refused;
      const { kind, method, reference } = request;
      return kind === "manifest" && method === "DELETE" && isReferenced(state, reference)
        ? refusal(405, "UNSUPPORTED", "The operation is unsupported.")
        : undefined;
    },
    getBlob: (repository, digest) => localBlob(registry, repository, digest),
    putBlob: (repository, digest, bytes) => {
      const [namespace = ""] = repository.split("/");
      const refused = guarded(() => enforceImageSize(state, namespace, digest, bytes.length));
      if (!refused) storeBlob(store, repository, bytes, digest);
      return refused;
    },
    mount: (repository, digest, from = "", request) => mountBlob(registry, repository, digest, from, request),
    getManifest: (repository, reference) => visibleManifest(registry, repository, reference),
    checkManifest: (repository, manifest) => checkNamed(registry, repository, manifest),
    putManifest: (repository, manifest, tag, request) =>
      acceptManifest(registry, repository, manifest, tag, request),
    deleteManifest: (_repository, reference) => removeImage(state, reference) === "removed",
    listTags: (repository) => {
      const [namespace = "", name = ""] = repository.split("/");
      const tags = findStream(state, namespace, name)?.status.tags?.map(({ tag }) => tag);
      // Go's map order: any but sorted
      return findStream(state, namespace, name) && (tags ?? []).toReversed();
    },
  };
}

/** Pushed here, or in the registry and named by the stream. Never what only an upstream has. */
function localBlob(
  { state, store }: IntegratedRegistry,
  repository: string,
  digest: Digest,
): Uint8Array | undefined {
  const linked = readBlob(store, repository, digest);
  if (linked) return linked;
  const [namespace = "", name = ""] = repository.split("/");
  const stream = findStream(state, namespace, name);
  return stream && layersOf({ state }, stream).blobs[digest] ? store.blobs.get(digest) : undefined;
}

/** A denial on the source only degrades the mount to an upload. */
function mountBlob(
  registry: IntegratedRegistry,
  repository: string,
  digest: Digest,
  from: string,
  request: RegistryRequest,
): boolean {
  const [namespace = ""] = from.split("/");
  const user = userOfRequest(registry, request);
  if (!user || !mayDo(user, { verb: "get", resource: "imagestreams/layers", namespace })) return false;
  const bytes = localBlob(registry, from, digest);
  if (bytes) storeBlob(registry.store, repository, bytes, digest);
  return bytes !== undefined;
}

/** A manifest is there when the stream's history names it, itself or through its index. */
async function visibleManifest(
  registry: IntegratedRegistry,
  repository: string,
  reference: string,
): Promise<StoredManifest | undefined> {
  const { state, store } = registry;
  const [namespace = "", name = ""] = repository.split("/");
  const stream = findStream(state, namespace, name);
  const digest = isDigest(reference) ? reference : stream && latestEvent(stream, reference)?.image;
  if (!stream || !isDigest(digest) || !layersOf({ state }, stream).images[digest]) return undefined;
  for (const { manifests } of store.repositories.values()) {
    const stored = manifests.get(digest);
    if (stored) return stored;
  }
  return pullManifest(registry, stream, digest);
}

const IMAGE_TYPES = new Set([OCI_MANIFEST, DOCKER_MANIFEST]);

/** Blobs must be here or at an upstream, with the right size; what an index lists is not looked at. */
async function checkNamed(
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

async function acceptManifest(
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

/** A missing stream is made with the rights of who pushes; everything else is the registry's own work. */
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

/** What the API server refuses, in the registry's words. */
function guarded(task: () => void): Answer | undefined {
  try {
    task();
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error;
    return error.code === 403
      ? refusal(403, "DENIED", `requested access to the resource is denied: ${error.message}`)
      : refusal(500, "UNKNOWN", "unknown error", error.message);
  }
}
