import { setTimeout as sleep } from "node:timers/promises";

import { type Descriptor, digestOf, type ManifestBody, parseManifest } from "../content/content.ts";
import { type Answer, failure } from "./exchange.ts";
import type { Repository } from "./repository.ts";
import type { RegistryRules } from "./rules.ts";

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function readManifest(
  repo: Repository | undefined,
  ref: string,
  accept: string,
  { digestHeaders }: RegistryRules,
): Answer {
  const digest = DIGEST.test(ref) ? ref : repo?.tags.get(ref);
  const found = digest === undefined ? undefined : repo?.manifest(digest);
  if (digest === undefined || found === undefined) return failure(404, "MANIFEST_UNKNOWN");
  // docker-registry answers like this when the client does not accept the stored type
  if (!accept.includes(found.mediaType)) return failure(404, "MANIFEST_UNKNOWN", "not of an accepted type");
  return {
    status: 200,
    headers: {
      "content-type": found.mediaType,
      "content-length": String(found.bytes.length),
      ...(digestHeaders ? { "docker-content-digest": digest, etag: `"${digest}"` } : {}),
    },
    body: found.bytes,
  };
}

export type ManifestPut = {
  readonly repo: Repository;
  readonly ref: string;
  readonly contentType: string;
  readonly bytes: Buffer;
};

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests */
export async function putManifest(
  { repo, ref, contentType, bytes }: ManifestPut,
  rules: RegistryRules,
): Promise<Answer> {
  const digest = digestOf(bytes);
  if (bytes.length > 4 * 1024 * 1024) return failure(413, "SIZE_INVALID");
  if (ref.startsWith("sha256:") && ref !== digest) return failure(400, "DIGEST_INVALID");
  const body = bodyOf(bytes);
  if (body === undefined) return failure(400, "MANIFEST_INVALID");
  if (body.mediaType !== undefined && body.mediaType !== contentType) return failure(400, "MANIFEST_INVALID");
  const absent = rules.proves ? absentIn(repo, body) : [];
  if (absent.length > 0)
    return failure(rules.unknownStatus, "MANIFEST_BLOB_UNKNOWN", `absent: ${absent.join(", ")}`);
  const subject = body.subject?.digest;
  if (rules.losesConcurrentReferrers && subject !== undefined) await storeRacily(repo, subject, digest);
  repo.manifests.set(digest, { mediaType: contentType, bytes });
  if (!ref.startsWith("sha256:")) repo.setTag(ref, digest);
  return {
    status: 201,
    headers: {
      location: `/v2/-/manifests/${digest}`,
      "content-length": "0",
      ...(rules.digestHeaders ? { "docker-content-digest": digest } : {}),
      ...(rules.referrersApi && subject !== undefined ? { "oci-subject": subject } : {}),
    },
  };
}

function bodyOf(bytes: Buffer): ManifestBody | undefined {
  try {
    return parseManifest(bytes);
  } catch {
    return undefined;
  }
}

function absentIn(repo: Repository, { config, layers = [], manifests = [] }: ManifestBody): string[] {
  const blobs = [...(config === undefined ? [] : [config]), ...layers].filter(
    ({ digest, size }) => repo.blob(digest)?.length !== size,
  );
  const children = manifests.filter(({ digest }) => repo.manifest(digest) === undefined);
  return [...blobs, ...children].map(({ digest }) => digest);
}

/** A repository's list of referrers as olareg keeps it: read, changed and written without a lock. */
const LISTS = new WeakMap<Repository, Map<string, readonly string[]>>();

async function storeRacily(repo: Repository, subject: string, digest: string): Promise<void> {
  const lists = LISTS.get(repo) ?? new Map<string, readonly string[]>();
  LISTS.set(repo, lists);
  const read = lists.get(subject) ?? [];
  await sleep(20);
  lists.set(subject, [...read.filter((entry) => entry !== digest), digest]);
}

/** What the registry lists as referrers of `digest`. */
export function listedReferrers(
  repo: Repository | undefined,
  digest: string,
  { losesConcurrentReferrers }: RegistryRules,
): Descriptor[] {
  const all = repo?.referrers(digest) ?? [];
  const listed = repo === undefined ? undefined : LISTS.get(repo)?.get(digest);
  return losesConcurrentReferrers && listed !== undefined
    ? all.filter((entry) => listed.includes(entry.digest))
    : all;
}
