import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { type Cancellable, sleep } from "../../lib/cancel.ts";
import { limit, type Limit } from "../../lib/limit.ts";
import { digestTagStem } from "../../oci/digest-tag.ts";
import type { Digest } from "../../oci/digest.ts";
import { type Manifest, parseManifest } from "../../oci/manifest.ts";
import { OCI_INDEX } from "../../oci/media-type.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { type FetchedManifest, fetchManifest } from "./manifests.ts";
import { putManifest } from "./push-manifest.ts";

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema */
export function fallbackTag(digest: Digest): string {
  return digestTagStem(digest);
}

/** One queue for each subject: writers of its fallback index run one after the other. */
export function subjectQueue(): (subject: string) => Limit {
  const lines = new Map<string, Limit>();
  return (subject) => {
    const line = lines.get(subject) ?? limit(1);
    lines.set(subject, line);
    return line;
  };
}

/** How often an index is written before giving up, when others overwrite it each time. */
const WRITES_MAX = 8;
const LOOK_AGAIN_MAX_MS = 2_000;

/**
 * Lists a manifest with its subject when the registry does not do it. Reads the index under the fallback tag, adds the
 * entry if it is missing, writes the index back, and checks that the entry is there.
 *
 * Other processes write the same index. `If-Match` prevents overwriting unread changes only where the registry supports
 * it, and no widely used registry does. So the index is read again after a pause of about the time that our own read
 * and write took: by then, others who had read the old index have written theirs. If they overwrote our entry, it is
 * added again.
 */
export async function registerWithSubject(
  manifest: Manifest,
  client: RepositoryClient,
  { signal }: Cancellable = {},
): Promise<void> {
  if (!manifest.subject) return;
  const tag = fallbackTag(manifest.subject.digest);
  let refusedEtag: string | undefined;
  for (let writes = 0; ; writes += 1) {
    const startedMs = performance.now();
    const current = await currentFallback(tag, client, { signal });
    const entries = current ? rawEntries(current.manifest) : [];
    if (entries.some((entry) => (entry as { digest?: unknown }).digest === manifest.descriptor.digest))
      return;
    if (writes >= WRITES_MAX) throw overwritten(manifest, tag, client);
    // refused although nobody wrote: this registry does not handle its own ETags correctly
    const etag = current?.etag === refusedEtag ? undefined : strong(current?.etag);
    const written = await writeFallback([...entries, entryOf(manifest)], tag, client, {
      ifMatch: etag,
      signal,
    });
    refusedEtag = written ? undefined : etag;
    if (!written) continue;
    const tookMs = performance.now() - startedMs;
    await sleep(Math.min(LOOK_AGAIN_MAX_MS, tookMs * 2 ** writes * (1 + Math.random())), { signal });
  }
}

/** A weak ETag (a compressing proxy makes it weak) never matches `If-Match`. @see RFC 9110 §13.1.1 */
function strong(etag: string | undefined): string | undefined {
  return etag !== undefined && /^"[^"]*"$/.test(etag) ? etag : undefined;
}

/** @returns false when another client wrote first */
async function writeFallback(
  entries: readonly unknown[],
  tag: string,
  client: RepositoryClient,
  { ifMatch, signal }: Cancellable & { readonly ifMatch: string | undefined },
): Promise<boolean> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries }));
  const index = parseManifest(bytes, { contentType: OCI_INDEX, subject: `${client.name}:${tag}` });
  try {
    await putManifest(index, client, { tag, ifMatch, readsBack: true, signal });
    return true;
  } catch (error) {
    const overtaken =
      ifMatch !== undefined && isTagferryError(error, "TARGET_REJECTED") && error.details["status"] === 412;
    if (overtaken) return false;
    throw error;
  }
}

function entryOf({ descriptor, artifactType, config, annotations }: Manifest): object {
  const type = artifactType ?? config?.mediaType;
  return {
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    ...(type === undefined ? {} : { artifactType: type }),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
}

function overwritten({ descriptor }: Manifest, tag: string, { name }: RepositoryClient): TagferryError {
  return new TagferryError(
    "TARGET_READBACK",
    `${name}:${tag} was written ${WRITES_MAX} times and does not list ${descriptor.digest}`,
    { where: `${name}:${tag}`, allowed: descriptor.digest },
  );
}

async function currentFallback(
  tag: string,
  client: RepositoryClient,
  options: Cancellable,
): Promise<FetchedManifest | undefined> {
  try {
    return await fetchManifest(tag, client, options);
  } catch (error) {
    if (isTagferryError(error, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) return undefined;
    throw error;
  }
}

/** The unparsed entries, with all fields that other tools wrote. */
function rawEntries({ bytes, kind }: Manifest): unknown[] {
  if (kind !== "index") return [];
  const { manifests } = JSON.parse(Buffer.from(bytes).toString("utf8")) as {
    readonly manifests: readonly unknown[];
  };
  return [...manifests];
}
