import { TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { limit } from "../lib/limit.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { attestedDigest, type Manifest } from "../oci/manifest.ts";
import type { Platform } from "../oci/platform.ts";
import type { ImageSource, ImageTarget, Referrer } from "../oci/store.ts";
import { readAtTarget } from "./at-target.ts";
import { openGroup } from "./group.ts";
import { choosePlatforms } from "./platforms.ts";

export type ProveOptions = Cancellable & {
  /** Reads and hashes every blob. */
  readonly bytes?: boolean;
  /** The choice of platforms that the image was copied with: the others are not missing. */
  readonly platforms?: readonly Platform[] | undefined;
  /** Requests at once. Default: 8. */
  readonly concurrency?: number;
};

export type Proof = {
  /** Manifests and blobs that are not at the target, or are not what their digests say. Beneath such a manifest: unknown. */
  readonly missing: readonly Descriptor[];
  /** The image and the manifests beneath it that are at the target and that something may refer to. */
  readonly subjects: readonly Digest[];
};

const MANIFESTS_MAX = 10_000;

/**
 * Finds out whether everything that an image names is at the target.
 *
 * Costs one GET of each manifest at the target and one question for each blob (`ImageTarget.hasBlob`); the source is not asked.
 *
 * @throws {TagferryError} AUTH_*, DENIED, REGISTRY_*: nothing was found out then
 */
export async function proveImage(
  { digest }: Pick<Descriptor, "digest">,
  target: ImageTarget,
  { bytes = false, platforms, concurrency = 8, signal: outer }: ProveOptions = {},
): Promise<Proof> {
  const group = openGroup(outer);
  const { signal } = group;
  const questions = limit(concurrency);
  const seen = new Set<Digest>();
  const missing: Descriptor[] = [];
  const subjects: Digest[] = [];

  const isNew = (one: Digest): boolean => seen.size < seen.add(one).size;

  async function manifest(descriptor: Descriptor, choice: readonly Platform[] | undefined): Promise<void> {
    if (!isNew(descriptor.digest)) return;
    if (seen.size > MANIFESTS_MAX)
      throw new TagferryError("MANIFEST_FANOUT", `${target.name}@${digest} names too many parts`, {
        allowed: MANIFESTS_MAX,
      });
    const found = await questions(() => readAtTarget(descriptor.digest, target, { signal }), { signal });
    if (!found) {
      missing.push(descriptor);
      return;
    }
    if (attestedDigest(descriptor) === undefined) subjects.push(descriptor.digest);
    const { chosen, open } = childrenOf(found, choice);
    await group.all([
      ...chosen.map((child) => manifest(child, undefined)),
      ...open.map((child) => manifest(child, choice)),
      ...found.blobs.map(blob),
    ]);
  }

  async function blob(descriptor: Descriptor): Promise<void> {
    if (!isNew(descriptor.digest)) return;
    const isThere = await questions(() => target.hasBlob(descriptor, { bytes, signal }), { signal });
    if (!isThere) missing.push(descriptor);
  }

  await manifest({ mediaType: "", digest, size: -1 }, platforms);
  return { missing, subjects };
}

function childrenOf(
  manifest: Manifest,
  platforms: readonly Platform[] | undefined,
): { readonly chosen: readonly Descriptor[]; readonly open: readonly Descriptor[] } {
  return platforms ? choosePlatforms(manifest, platforms) : { chosen: manifest.children, open: [] };
}

/**
 * Referrers that the source lists for these manifests and the target does not: signed after the copy, or lost.
 *
 * Costs one question at the source for each subject, and one at the target where the source lists anything.
 *
 * @throws {TagferryError} REFERRERS_INVALID, AUTH_*, REGISTRY_*
 */
export async function findLateReferrers(
  subjects: readonly Digest[],
  source: ImageSource,
  target: ImageTarget,
  { signal: outer }: Cancellable = {},
): Promise<readonly Referrer[]> {
  const group = openGroup(outer);
  const { signal } = group;
  const onlyTags = target.capabilities.referrers === "tags";
  const found = await group.all(
    subjects.map(async (subject) => {
      const listed = await Array.fromAsync(source.referrers(subject, { signal }));
      const wanted = listed.filter(({ tag }) => tag !== undefined || !onlyTags);
      if (wanted.length === 0) return [];
      const kept = new Set<string>();
      for await (const referrer of target.referrers(subject, { signal })) kept.add(keyOf(referrer));
      return wanted.filter((referrer) => !kept.has(keyOf(referrer)));
    }),
  );
  return found.flat();
}

function keyOf({ descriptor, tag }: Referrer): string {
  return `${descriptor.digest} ${tag ?? ""}`;
}
