import { type Digest, digestOf, isDigest } from "../../../src/oci/digest.ts";
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "../../../src/oci/media-type.ts";
import type { RegistryContext } from "./handler.ts";
import { freshly, isStale, locationOf, matchesTag } from "./naming.ts";
import { namedContent, type StoredManifest } from "./store.ts";
import { type Answer, json, notFound, readAll, refusal, type RegistryRequest } from "./wire.ts";

export async function handleManifest(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  switch (request.method) {
    case "GET":
    case "HEAD":
      return getManifest(context, request);
    case "PUT":
      return putManifest(context, request);
    case "DELETE":
      return deleteManifest(context, request);
    default:
      return refusal(405, "UNSUPPORTED");
  }
}

async function getManifest(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  const { repository, reference } = request;
  const stored = isStale(context, repository, reference)
    ? undefined
    : await context.hooks.getManifest(repository, reference, request);
  const named = isDigest(reference)
    ? { name: repository, revision: reference }
    : { name: repository, tag: reference };
  const unknown = (message: string): Answer => refusal(404, "MANIFEST_UNKNOWN", message, named);
  if (!stored) return unknown("manifest unknown");
  const accepted = acceptedTypes(request);
  if (stored.mediaType === OCI_INDEX && !accepted.has(OCI_INDEX))
    return unknown("OCI index found, but accept header does not support OCI indexes");
  if (stored.mediaType === OCI_MANIFEST && !accepted.has(OCI_MANIFEST))
    return unknown("OCI manifest found, but accept header does not support OCI manifests");
  const manifest = isDigest(reference) ? stored : await convert(context, request, stored, accepted);
  if (!manifest) return unknown("manifest unknown");
  const { etag, digestHeader } = context.behaviour;
  const headers = {
    ...(digestHeader ? { "docker-content-digest": manifest.digest } : {}),
    ...(etag ? { etag: `"${manifest.digest}"` } : {}),
  };
  if (etag && matchesTag(request.headers["if-none-match"], manifest.digest))
    return { status: 304, headers: {} };
  return { status: 200, headers: { "content-type": manifest.mediaType, ...headers }, body: manifest.bytes };
}

function acceptedTypes({ headers }: RegistryRequest): Set<string> {
  const types = (headers.accept ?? "").split(",").map((type) => type.split(";")[0]?.trim() ?? "");
  return new Set(types);
}

/** When the client does not accept a Docker list, a request by tag gets its linux/amd64 child: another digest. */
async function convert(
  context: RegistryContext,
  request: RegistryRequest,
  stored: StoredManifest,
  accepted: ReadonlySet<string>,
): Promise<StoredManifest | undefined> {
  if (stored.mediaType === DOCKER_LIST && !accepted.has(DOCKER_LIST)) {
    const child = amd64Child(stored.bytes);
    const found = child && (await context.hooks.getManifest(request.repository, child, request));
    return found && convert(context, request, found, accepted);
  }
  if (stored.mediaType !== DOCKER_MANIFEST || accepted.has(DOCKER_MANIFEST)) return stored;
  return asSchema1(request, stored);
}

function amd64Child(bytes: Uint8Array): Digest | undefined {
  const list = JSON.parse(Buffer.from(bytes).toString("utf8")) as {
    manifests?: { digest: unknown; platform?: { os?: string; architecture?: string } }[];
  };
  const child = list.manifests?.find(
    ({ platform }) => platform?.os === "linux" && platform.architecture === "amd64",
  )?.digest;
  return isDigest(child) ? child : undefined;
}

/** Schema 1 without its signatures: enough to detect that the answer is not the stored manifest. */
function asSchema1({ repository, reference }: RegistryRequest, { bytes }: StoredManifest): StoredManifest {
  const fsLayers = namedContent(bytes)
    .blobs.slice(1)
    .toReversed()
    .map((blobSum) => ({ blobSum }));
  const schema1 = { schemaVersion: 1, name: repository, tag: reference, architecture: "amd64", fsLayers };
  const converted = Buffer.from(JSON.stringify({ ...schema1, history: [], signatures: [] }, undefined, 3));
  return {
    bytes: converted,
    mediaType: "application/vnd.docker.distribution.manifest.v1+prettyjws",
    digest: digestOf(converted),
  };
}

async function putManifest(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  const { behaviour, hooks } = context;
  const { repository, reference, parameters } = request;
  const bytes = await readAll(request.body);
  const manifest = readManifestBody(context, request, bytes);
  if ("status" in manifest) return manifest;
  const tags = isDigest(reference) ? (behaviour.multiTagPut ? parameters.getAll("tag") : []) : [reference];
  const refused =
    (await refuseOverwrite(context, request, manifest.digest, tags)) ??
    (await hooks.checkManifest(repository, manifest, request));
  if (refused) return refused;
  for (const tag of tags.length === 0 ? [undefined] : tags) {
    const answer = await hooks.putManifest(repository, manifest, tag, request);
    if (answer) return answer;
    freshly(context, repository, tag ?? manifest.digest);
  }
  const { subject } = namedContent(bytes);
  return {
    status: 201,
    headers: {
      location: locationOf(context, `/v2/${repository}/manifests/${manifest.digest}`),
      ...(behaviour.digestHeader ? { "docker-content-digest": manifest.digest } : {}),
      ...(behaviour.referrersApi && subject ? { "oci-subject": subject } : {}),
      ...(behaviour.multiTagPut && isDigest(reference) && tags.length > 0 ? { "oci-tag": tags } : {}),
    },
  };
}

/** The manifest that was sent, or the refusal. */
function readManifestBody(
  { behaviour }: RegistryContext,
  { headers, reference }: RegistryRequest,
  bytes: Uint8Array,
): StoredManifest | Answer {
  const mediaType = headers["content-type"]?.split(";")[0]?.trim() ?? "";
  if (bytes.length > behaviour.manifestLimitBytes)
    return refusal(413, "MANIFEST_INVALID", "manifest invalid: too large");
  if (behaviour.manifestTypes && !behaviour.manifestTypes.includes(mediaType))
    return refusal(415, "MANIFEST_INVALID", "manifest invalid: unsupported media type", { mediaType });
  const declared = declaredType(bytes);
  if (declared === undefined || (declared !== "" && declared !== mediaType))
    return refusal(400, "MANIFEST_INVALID", "manifest invalid", { mediaType });
  const digest = digestOf(bytes, reference.startsWith("sha512:") ? "sha512" : "sha256");
  if (isDigest(reference) && reference !== digest)
    return refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
  return { bytes, mediaType, digest };
}

/** The body's own mediaType, empty when it names none; undefined when this is no manifest. */
function declaredType(bytes: Uint8Array): string | undefined {
  try {
    const manifest: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    if (typeof manifest !== "object" || manifest === null || !("schemaVersion" in manifest)) return undefined;
    return "mediaType" in manifest && typeof manifest.mediaType === "string" ? manifest.mediaType : "";
  } catch {
    return undefined;
  }
}

async function refuseOverwrite(
  { behaviour: { immutableTags }, hooks }: RegistryContext,
  request: RegistryRequest,
  digest: Digest,
  tags: readonly string[],
): Promise<Answer | undefined> {
  if (immutableTags === false) return undefined;
  for (const tag of tags) {
    const held = await hooks.getManifest(request.repository, tag, request);
    if (!held || held.digest === digest) continue;
    if (immutableTags === 400)
      return refusal(400, "ImageTagAlreadyExistsException", `The image tag '${tag}' already exists`);
    if (immutableTags === 409) return refusal(409, "TAG_IMMUTABLE", `tag ${tag} is immutable`);
    return refusal(
      412,
      "PRECONDITION",
      `Failed to process request due to '${request.repository}:${tag}' configured as immutable.`,
    );
  }
  return undefined;
}

async function deleteManifest(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  const { behaviour, hooks } = context;
  const { repository, reference } = request;
  if (!behaviour.deletes || (!behaviour.deleteTags && !isDigest(reference)))
    return refusal(behaviour.deletes ? 400 : 405, "UNSUPPORTED", "The operation is unsupported.");
  if (!(await hooks.deleteManifest(repository, reference, request)))
    return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown");
  return { status: 202, headers: {} };
}

/** GET referrers/DIGEST. @see distribution-spec, "Listing Referrers" */
export async function handleReferrers(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  const { behaviour, hooks, url } = context;
  const { repository, reference, parameters } = request;
  if (!behaviour.referrersApi) return notFound();
  const wanted = behaviour.referrersFilter ? parameters.get("artifactType") : null;
  const all = [...(await hooks.listManifests(repository, request))]
    .map((manifest) => ({ manifest, named: namedContent(manifest.bytes) }))
    .filter(({ named }) => named.subject === reference)
    .filter(({ named }) => wanted === null || named.artifactType === wanted);
  const from = Number(parameters.get("page") ?? 0) * behaviour.referrersPageSize;
  const page = all.slice(from, from + behaviour.referrersPageSize);
  const manifests = page.map(({ manifest: { mediaType, digest, bytes }, named }) => ({
    mediaType,
    digest,
    size: bytes.length,
    ...(named.artifactType === undefined ? {} : { artifactType: named.artifactType }),
    ...(named.annotations === undefined ? {} : { annotations: named.annotations }),
  }));
  const more = from + behaviour.referrersPageSize < all.length;
  const next = new URLSearchParams(parameters);
  next.set("page", String(from / behaviour.referrersPageSize + 1));
  return json(
    200,
    { schemaVersion: 2, mediaType: OCI_INDEX, manifests },
    {
      "content-type": OCI_INDEX,
      ...(wanted === null ? {} : { "oci-filters-applied": "artifactType" }),
      ...(more ? { link: `<${url()}${request.path}?${next.toString()}>; rel="next"` } : {}),
    },
  );
}
