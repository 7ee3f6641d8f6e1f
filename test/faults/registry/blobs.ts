import { type Answer, failure } from "./exchange.ts";
import type { Repository } from "./repository.ts";

const RANGE = /^bytes=(\d+)-(\d*)$/;

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs */
export function readBlob(repo: Repository | undefined, digest: string, range: string | undefined): Answer {
  const bytes = repo?.blob(digest);
  if (bytes === undefined) return failure(404, "BLOB_UNKNOWN");
  const headers = {
    "content-type": "application/octet-stream",
    "docker-content-digest": digest,
    "accept-ranges": "bytes",
  };
  const [, from, to] = (range === undefined ? undefined : RANGE.exec(range)) ?? [];
  if (from === undefined)
    return { status: 200, headers: { ...headers, "content-length": String(bytes.length) }, body: bytes };
  const start = Number(from);
  const end = Math.min(to === undefined || to === "" ? bytes.length - 1 : Number(to), bytes.length - 1);
  if (start >= bytes.length)
    return { status: 416, headers: { "content-range": `bytes */${bytes.length}`, "content-length": "0" } };
  const part = bytes.subarray(start, end + 1);
  return {
    status: 206,
    headers: {
      ...headers,
      "content-length": String(part.length),
      "content-range": `bytes ${start}-${end}/${bytes.length}`,
    },
    body: part,
  };
}
