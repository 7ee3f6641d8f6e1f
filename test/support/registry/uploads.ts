import { randomUUID } from "node:crypto";

import { type Digest, digestOf, isDigest } from "../../../src/oci/digest.ts";
import type { RegistryContext } from "./handler.ts";
import { freshly, locationOf } from "./naming.ts";
import type { StoredUpload } from "./store.ts";
import { type Answer, refusal, type RegistryRequest, slashMissing } from "./wire.ts";

/** POST, PATCH, PUT, GET and DELETE of blobs/uploads. @see distribution-spec, "Pushing Blobs" */
export async function handleUpload(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  if (request.path.endsWith("/uploads")) return slashMissing(request);
  if (request.method === "POST" && request.reference === "") return startUpload(context, request);
  const upload = context.store.uploads.get(request.reference);
  if (!upload || upload.repository !== request.repository)
    return refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
  if (!keepsState(context, request, upload))
    return context.behaviour.staleState === 416 && request.method === "PUT"
      ? refusal(416, "RANGE_INVALID", "invalid content range")
      : refusal(404, "BLOB_UPLOAD_INVALID", "blob upload invalid");
  switch (request.method) {
    case "GET":
    case "HEAD":
      return uploadStatus(context, upload);
    case "PATCH":
      return patchUpload(context, request, upload);
    case "PUT":
      return closeUpload(context, request, upload);
    case "DELETE":
      if (!context.behaviour.cancelUpload) return refusal(403, "DENIED", "requested access is denied");
      context.store.uploads.delete(upload.id);
      return { status: 204, headers: {} };
    default:
      return refusal(405, "UNSUPPORTED");
  }
}

function keepsState(
  { behaviour }: RegistryContext,
  { query, parameters }: RegistryRequest,
  { state }: StoredUpload,
): boolean {
  switch (behaviour.uploadState) {
    case "none":
      return true;
    case "value":
      return parameters.get("_state") === decodeURIComponent(state);
    case "verbatim":
      return query.split("&").includes(`_state=${state}`);
  }
}

async function startUpload(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  const { behaviour, hooks, store } = context;
  const { repository, parameters, entry } = request;
  const mount = parameters.get("mount");
  const from = parameters.get("from") ?? undefined;
  if (mount !== null && !isDigest(mount)) return refusal(400, "DIGEST_INVALID");
  if (mount !== null && behaviour.mount !== "never" && (await hooks.mount(repository, mount, from, request)))
    return created(context, repository, mount);
  const upload: StoredUpload = {
    id: randomUUID(),
    repository,
    // URLSearchParams would write %20 and %7E another way
    state: `${randomUUID()}%20%7E%3D%3D`,
    chunks: [],
    size: 0,
    shortChunk: false,
  };
  const digest = parameters.get("digest");
  if (digest !== null && behaviour.monolithicPost) {
    for await (const chunk of request.body) append(upload, chunk);
    return commit(context, request, upload, digest);
  }
  store.uploads.set(upload.id, upload);
  entry.session = upload.id;
  return progress(context, upload, 202);
}

function append(upload: StoredUpload, chunk: Uint8Array): void {
  upload.chunks.push(chunk);
  upload.size += chunk.length;
}

/** The headers every step of an upload is answered with. */
function progress(context: RegistryContext, upload: StoredUpload, status: number): Answer {
  const { chunkMinBytes, chunkMaxBytes, uploadState } = context.behaviour;
  const path = `/v2/${upload.repository}/blobs/uploads/${upload.id}`;
  return {
    status,
    headers: {
      location: locationOf(context, uploadState === "none" ? path : `${path}?_state=${upload.state}`),
      range: `0-${Math.max(0, upload.size - 1)}`,
      "docker-upload-uuid": upload.id,
      ...(chunkMinBytes === undefined ? {} : { "oci-chunk-min-length": chunkMinBytes }),
      ...(chunkMaxBytes === undefined ? {} : { "oci-chunk-max-length": chunkMaxBytes }),
    },
  };
}

function uploadStatus(context: RegistryContext, upload: StoredUpload): Answer {
  const right = progress(context, upload, 204);
  switch (context.behaviour.uploadStatus) {
    case "right":
      return right;
    case "stuck":
      return { ...right, headers: { ...right.headers, range: `0-${Math.max(0, firstChunk(upload) - 1)}` } };
    case "bytes":
      // Quay: with the unit, off by one, without Location
      return { status: 204, headers: { range: `bytes=0-${upload.size}`, "docker-upload-uuid": upload.id } };
    case "none":
      return refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
  }
}

function firstChunk({ chunks }: StoredUpload): number {
  return chunks[0]?.length ?? 0;
}

async function patchUpload(
  context: RegistryContext,
  request: RegistryRequest,
  upload: StoredUpload,
): Promise<Answer> {
  const { behaviour, store } = context;
  const type = request.headers["content-type"];
  if (behaviour.patchStatus === 405) return refusal(405, "UNSUPPORTED", "chunked uploads are unsupported");
  if (type !== undefined && type !== "application/octet-stream")
    return refusal(415, "UNSUPPORTED", "bad Content-Type");
  const out = behaviour.checkContentRange ? refuseRange(context, request, upload) : undefined;
  if (out) return out;
  const before = upload.size;
  try {
    for await (const chunk of request.body) append(upload, chunk);
    upload.shortChunk ||= upload.size - before < (behaviour.chunkMinBytes ?? 0);
  } catch (cause) {
    if (behaviour.brokenPatch === "drop") store.uploads.delete(upload.id);
    throw cause;
  }
  return progress(context, upload, behaviour.patchStatus);
}

/** 416 unless a chunk starts at the current offset, has the announced length, and has an allowed size. */
function refuseRange(
  context: RegistryContext,
  { headers }: RegistryRequest,
  upload: StoredUpload,
): Answer | undefined {
  const { chunkMaxBytes = Number.POSITIVE_INFINITY } = context.behaviour;
  const header = headers["content-range"];
  const length = headers["content-length"];
  const refused = { ...refusal(416, "RANGE_INVALID", "invalid content range") };
  const out = { ...refused, headers: { ...refused.headers, ...progress(context, upload, 416).headers } };
  const total = Number(length ?? 0);
  if (upload.shortChunk || total > chunkMaxBytes) return out;
  if (header === undefined) return undefined;
  const range = /^(\d+)-(\d+)$/.exec(header);
  if (!range) return out;
  const [first, last] = [Number(range[1]), Number(range[2])];
  if (first !== upload.size || (length !== undefined && last - first + 1 !== total)) return out;
  return undefined;
}

async function closeUpload(
  context: RegistryContext,
  request: RegistryRequest,
  upload: StoredUpload,
): Promise<Answer> {
  const digest = request.parameters.get("digest");
  if (digest === null) return refusal(400, "DIGEST_INVALID", "digest missing");
  const whole = upload.size;
  const kept = upload.chunks.length;
  try {
    for await (const chunk of request.body) append(upload, chunk);
  } catch (cause) {
    // a broken PUT does not change the session
    upload.chunks.length = kept;
    upload.size = whole;
    throw cause;
  }
  return commit(context, request, upload, digest);
}

async function commit(
  context: RegistryContext,
  request: RegistryRequest,
  upload: StoredUpload,
  digest: string,
): Promise<Answer> {
  const { store, behaviour, hooks } = context;
  store.uploads.delete(upload.id);
  if (!isDigest(digest)) return refusal(400, "DIGEST_INVALID", "provided digest did not match");
  const bytes = upload.chunks.length === 1 ? (upload.chunks[0] ?? Buffer.of()) : Buffer.concat(upload.chunks);
  upload.chunks = [];
  if (digestOf(bytes, digest.startsWith("sha512:") ? "sha512" : "sha256") !== digest)
    return refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
  if (behaviour.quotaBytes !== undefined && storedBytes(context) + bytes.length > behaviour.quotaBytes)
    return refusal(403, "DENIED", "adding the blob would exceed the storage quota");
  const refused = await hooks.putBlob(upload.repository, digest, bytes, request);
  if (refused) return refused;
  freshly(context, upload.repository, digest);
  return created(context, upload.repository, digest);
}

function storedBytes({ store }: RegistryContext): number {
  let sum = 0;
  for (const { length } of store.blobs.values()) sum += length;
  return sum;
}

function created(context: RegistryContext, repository: string, digest: Digest): Answer {
  return {
    status: 201,
    headers: {
      location: locationOf(context, `/v2/${repository}/blobs/${digest}`),
      ...(context.behaviour.digestHeader ? { "docker-content-digest": digest } : {}),
    },
  };
}
