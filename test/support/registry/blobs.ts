import { randomUUID } from "node:crypto";

import { type Digest, isDigest } from "../../../src/oci/digest.ts";
import type { RegistryContext } from "./handler.ts";
import { isStale, matchesTag } from "./naming.ts";
import { brokenBody } from "./raw.ts";
import { type Answer, refusal, type RegistryRequest } from "./wire.ts";

export async function handleBlob(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  const { repository, reference, method } = request;
  if (!isDigest(reference)) return refusal(400, "DIGEST_INVALID");
  const unknown = refusal(404, "BLOB_UNKNOWN", "blob unknown to registry", reference);
  if (method === "DELETE") {
    if (!context.behaviour.deletes) return refusal(405, "UNSUPPORTED", "The operation is unsupported.");
    const done = await context.hooks.deleteBlob(repository, reference, request);
    return done ? { status: 202, headers: { "docker-content-digest": reference } } : unknown;
  }
  if (method !== "GET" && method !== "HEAD") return refusal(405, "UNSUPPORTED");
  if (isStale(context, repository, reference)) return unknown;
  const bytes = await context.hooks.getBlob(repository, reference, request);
  if (!bytes) return unknown;
  const { redirectBlobs } = context.behaviour;
  if (redirectBlobs !== false && context.cdn && method === "GET") {
    const location = `${context.cdn.url}/${repository}/${reference}?X-Signature=${randomUUID()}%2F%7Esig`;
    context.cdn.uses.set(new URL(location).search, 0);
    return { status: redirectBlobs, headers: { location } };
  }
  return blobAnswer(request, reference, bytes, context.behaviour);
}

/** A blob, or the range of it that was asked for. */
function blobAnswer(
  { headers, method }: RegistryRequest,
  digest: Digest,
  bytes: Uint8Array,
  { ranges, etag, digestHeader, brokenRangeRefusal }: RegistryContext["behaviour"],
): Answer {
  const common = {
    "content-type": "application/octet-stream",
    "cache-control": "max-age=31536000",
    ...(ranges ? { "accept-ranges": "bytes" } : {}),
    ...(digestHeader ? { "docker-content-digest": digest } : {}),
    ...(etag ? { etag: `"${digest}"` } : {}),
  };
  const { range } = headers;
  if (etag && matchesTag(headers["if-none-match"], digest)) return { status: 304, headers: common };
  if (!ranges || range === undefined || method === "HEAD")
    return { status: 200, headers: common, body: bytes };
  const asked = /^bytes=(\d*)-(\d*)$/.exec(range);
  if (!asked || (asked[1] === "" && asked[2] === "")) return { status: 200, headers: common, body: bytes };
  const [first, last] = bounds(asked[1] ?? "", asked[2] ?? "", bytes.length);
  if (first >= bytes.length || last < first) return rangeRefusal(bytes, brokenRangeRefusal);
  return {
    status: 206,
    headers: { ...common, "content-range": `bytes ${first}-${last}/${bytes.length}` },
    body: bytes.subarray(first, last + 1),
  };
}

function rangeRefusal(bytes: Uint8Array, broken: boolean): Answer {
  const refused: Answer = {
    status: 416,
    headers: { "content-type": "text/plain", "content-range": `bytes */${bytes.length}` },
    body: Buffer.from("invalid range: failed to overlap\n"),
  };
  return broken
    ? brokenBody({ ...refused, body: bytes }, { sent: Buffer.of(), framing: "content-length" })
    : refused;
}

function bounds(first: string, last: string, size: number): [number, number] {
  if (first === "") return [Math.max(0, size - Number(last)), size - 1];
  return [Number(first), last === "" ? size - 1 : Math.min(Number(last), size - 1)];
}

/** The other origin: serves a blob to requests with the signature, and refuses credentials, as S3 does. */
export async function handleCdn(context: RegistryContext, request: RegistryRequest): Promise<Answer> {
  const { headers, path, query } = request;
  if (headers.authorization !== undefined)
    return s3Error(400, "InvalidArgument", "Only one auth mechanism allowed");
  const uses = context.cdn?.uses.get(`?${query}`);
  if (uses === undefined)
    return s3Error(403, "SignatureDoesNotMatch", "The request signature does not match");
  if (uses >= context.behaviour.signedUses) return s3Error(403, "AccessDenied", "Request has expired");
  context.cdn?.uses.set(`?${query}`, uses + 1);
  const slash = path.lastIndexOf("/");
  const digest = path.slice(slash + 1);
  const bytes = isDigest(digest) && (await context.hooks.getBlob(path.slice(1, slash), digest, request));
  if (!bytes) return s3Error(404, "NoSuchKey", "The specified key does not exist.");
  return blobAnswer(request, digest, bytes, { ...context.behaviour, digestHeader: false });
}

function s3Error(status: number, code: string, message: string): Answer {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return { status, headers: { "content-type": "application/xml" }, body: Buffer.from(body) };
}
