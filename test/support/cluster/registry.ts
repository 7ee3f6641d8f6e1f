import { isDigest } from "../../../src/oci/digest.ts";
import type { Behaviour } from "../registry/behaviour.ts";
import { openHandler, type RegistryHooks } from "../registry/handler.ts";
import { storeBlob } from "../registry/store.ts";
import { type Answer, refusal, type RegistryRequest } from "../registry/wire.ts";
import { removeImage } from "./image-api.ts";
import { pullBlob } from "./pull-through.ts";
import { checkAccess, tokenAnswer } from "./registry-access.ts";
import { type IntegratedRegistry, localBlob, mountBlob } from "./registry-blobs.ts";
import { acceptManifest, checkNamed, guarded, visibleManifest } from "./registry-manifests.ts";
import { openSignatures } from "./signatures.ts";
import { enforceImageSize, findStream, isReferenced } from "./state.ts";

/**
 * Docker distribution with OpenShift's changes: streams decide what is visible, and pushing a tag writes the stream.
 */
const OPENSHIFT: Partial<Behaviour> = {
  referrersApi: false,
  deleteTags: false,
  staleState: 416,
  tagOrder: "pushed",
};

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
  const signatures = openSignatures(registry);
  return async (request) => {
    if (request.path === "/openshift/token") return tokenAnswer(registry, request);
    const signed = await signatures(request);
    if (signed) return signed;
    const answer = asOpenshift(await handle(request), request);
    const better = answer.status === 404 ? await insteadOfUnknown(registry, request) : undefined;
    return decorated(better ?? answer, `${scheme}://${request.headers.host}`);
  };
}

/** A manifest above the limit is answered 400 instead of 413 (d4cce000). */
function asOpenshift(answer: Answer, { kind }: RegistryRequest): Answer {
  return answer.status === 413 && kind === "manifest"
    ? refusal(400, "MANIFEST_INVALID", "manifest invalid", "http: request body too large")
    : answer;
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

/** Content that is missing here may be at an upstream in the stream's status. A missing stream has its own error. */
async function insteadOfUnknown(
  registry: IntegratedRegistry,
  { kind, method, repository, reference }: RegistryRequest,
): Promise<Answer | undefined> {
  if (method !== "GET" && method !== "HEAD") return undefined;
  const [namespace = "", name = ""] = repository.split("/");
  // by digest, without the stream: no 404 (reference/openshift.md §11)
  if (kind === "manifest" && isDigest(reference) && !findStream(registry.state, namespace, name))
    return refusal(500, "UNKNOWN", "unknown error");
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
      // Go's map order: not sorted
      return findStream(state, namespace, name) && (tags ?? []).toReversed();
    },
  };
}
