import { isTagferryError, TagferryError } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestTagStem } from "../oci/digest-tag.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { type Manifest, parseManifest } from "../oci/manifest.ts";
import type { ListedTag, Referrer } from "../oci/store.ts";
import type { Blobs } from "./blobs.ts";
import { findDigest, findName, type LayoutIndex, refName, tagInName } from "./index-file.ts";
import type { IndexFile } from "./index-writer.ts";
import type { ManifestLinks } from "./links.ts";

/** An open layout. */
export type Files = {
  readonly directory: string;
  readonly name: string;
  readonly index: IndexFile;
  readonly blobs: Blobs;
};

/** A tag whose manifest is missing or too short counts as absent. So a target gets the image again. */
export async function resolve(
  files: Files,
  reference: string,
  repository: string | undefined,
): Promise<Descriptor | undefined> {
  const index = await files.index.read();
  const descriptor = isDigest(reference)
    ? findDigest(index, reference)
    : findName(index, refName(reference, repository));
  if (descriptor) return (await files.blobs.has(descriptor)) ? descriptor : undefined;
  if (!isDigest(reference)) return undefined;
  try {
    return (await readManifest(files, reference))?.descriptor;
  } catch (error) {
    if (isTagferryError(error)) return undefined; // a layer, or a damaged manifest, which may be written again
    throw error;
  }
}

/** Reads and verifies a manifest. It need not be in index.json. */
export async function readManifest(
  { blobs, name }: Files,
  digest: Digest,
  mediaType?: string,
): Promise<Manifest | undefined> {
  const bytes = await blobs.readManifest(digest);
  const subject = `${name}@${digest}`;
  if (bytes === "large")
    throw new TagferryError("MANIFEST_TOO_LARGE", `${subject} has more than 8 MiB`, { where: subject });
  return bytes && parseManifest(bytes, { contentType: mediaType, expected: digest, subject });
}

export function* listedTags({ entries }: LayoutIndex, repository: string | undefined): Generator<ListedTag> {
  const byName = Map.groupBy(entries, ({ name = "" }) => name);
  for (const [name, [first, ...others]] of byName) {
    const tag = tagInName(name, repository);
    if (tag === undefined || first === undefined) continue;
    const { descriptor: image } = first;
    const isOne = others.every(({ descriptor }) => descriptor.digest === image.digest);
    yield { tag, ...(isOne ? { image } : {}) };
  }
}

type Searched = {
  readonly index: LayoutIndex;
  readonly links: ManifestLinks;
  readonly repository: string | undefined;
};

/** Finds referrers by their subject and by cosign's tags. A referrer with both is yielded with its tag. */
export function* referrersOf(digest: Digest, { index, links, repository }: Searched): Generator<Referrer> {
  const found = new Set<Digest>();
  for (const suffix of [".sig", ".att", ".sbom"]) {
    const tag = `${digestTagStem(digest)}${suffix}`;
    const descriptor = findName(index, refName(tag, repository));
    if (!descriptor) continue;
    found.add(descriptor.digest);
    yield { descriptor, tag };
  }
  for (const descriptor of links.referrers.get(digest) ?? [])
    if (!found.has(descriptor.digest)) yield { descriptor };
}
