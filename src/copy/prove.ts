import { TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { limit } from "../lib/limit.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { attestedDigest, type Manifest } from "../oci/manifest.ts";
import type { Platform } from "../oci/platform.ts";
import type { ImageSource, ImageTarget, Referrer, ReferrersOptions } from "../oci/store.ts";
import { readAtTarget } from "./at-target.ts";
import { openGroup } from "./group.ts";
import { type CopyMemory, memoryOfBlob } from "./memory.ts";
import { choosePlatforms, platformsOf } from "./platforms.ts";
import { DEPTH_MAX } from "./referrers.ts";
import type { ImageFacts } from "./summary.ts";

export type ProveOptions = Cancellable & {
  /** Reads and hashes all blobs, or these. */
  readonly bytes?: boolean | ReadonlySet<Digest>;
  /** Limits the memory of the blobs that are read. Default: no limit but `concurrency`. */
  readonly memory?: CopyMemory | undefined;
  /** The platforms that were copied. Other platforms do not count as missing. */
  readonly platforms?: readonly Platform[] | undefined;
  /** Requests at once. Default: 8. */
  readonly concurrency?: number;
};

export type Proof = {
  /**
   * Manifests and blobs that are not at the target, or do not match their digests. What is beneath such a manifest is
   * not checked.
   */
  readonly missing: readonly Descriptor[];
  /** The image and the manifests beneath it that are at the target and can have referrers. */
  readonly subjects: readonly Digest[];
  /** Undefined when something is missing. */
  readonly facts: ImageFacts | undefined;
};

const MANIFESTS_MAX = 10_000;

/**
 * Checks that everything that an image names is at the target.
 *
 * This costs one GET for each manifest and one request for each blob (`ImageTarget.hasBlob`), all at the target. The
 * source is not asked.
 *
 * @throws {TagferryError} AUTH_*, DENIED, REGISTRY_*: the check could not be completed
 */
export async function proveImage(
  { digest }: Pick<Descriptor, "digest">,
  target: ImageTarget,
  { bytes = false, memory, platforms, concurrency = 8, signal: outer }: ProveOptions = {},
): Promise<Proof> {
  const group = openGroup(outer);
  const { signal } = group;
  const questions = limit(concurrency);
  const seen = new Set<Digest>();
  const missing: Descriptor[] = [];
  const subjects: Digest[] = [];
  const platformsFound = new Set<string>();
  let bytesFound = 0;

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
    for (const platform of platformsOf({ children: chosen })) platformsFound.add(platform);
    bytesFound += found.descriptor.size;
    await group.all([
      ...chosen.map((child) => manifest(child, undefined)),
      ...open.map((child) => manifest(child, choice)),
      ...found.blobs.map(blob),
    ]);
  }

  async function blob(descriptor: Descriptor): Promise<void> {
    const { digest: one, size } = descriptor;
    if (!isNew(one)) return;
    const reads = typeof bytes === "boolean" ? bytes : bytes.has(one);
    const isThere = await questions(
      async () => {
        using room = reads ? await memory?.blobs.acquire({ places: memoryOfBlob(size), signal }) : undefined;
        return await target.hasBlob(descriptor, { bytes: reads, signal });
      },
      { signal },
    );
    if (isThere) bytesFound += size;
    else missing.push(descriptor);
  }

  await manifest({ mediaType: "", digest, size: -1 }, platforms);
  const facts = { bytes: bytesFound, platforms: [...platformsFound] };
  return { missing, subjects, facts: missing.length === 0 ? facts : undefined };
}

function childrenOf(
  manifest: Manifest,
  platforms: readonly Platform[] | undefined,
): { readonly chosen: readonly Descriptor[]; readonly open: readonly Descriptor[] } {
  return platforms ? choosePlatforms(manifest, platforms) : { chosen: manifest.children, open: [] };
}

/** The referrers that a source lists for an image, by what its target lists. */
export type ComparedReferrers = {
  /** They were added after the copy, or the target lost them. */
  readonly late: readonly Referrer[];
  /** The target lists them. Whether their content is there is not said. */
  readonly listed: readonly Referrer[];
};

/**
 * Compares the referrers that the source and the target list for these manifests, and the referrers of those that both
 * list: a run that was killed may have written an SBOM without its signature.
 *
 * This costs one question to the source for each subject, and one to the target where the source lists anything.
 *
 * @throws {TagferryError} REFERRERS_INVALID, AUTH_*, REGISTRY_*
 */
export async function compareReferrers(
  subjects: readonly Digest[],
  source: ImageSource,
  target: ImageTarget,
  { occasion, signal: outer }: ReferrersOptions = {},
): Promise<ComparedReferrers> {
  const group = openGroup(outer);
  const { signal } = group;
  const onlyTags = target.capabilities.referrers === "tags";
  const late: Referrer[] = [];
  const listed: Referrer[] = [];
  const seen = new Set(subjects);

  async function compare(subject: Digest, depth: number): Promise<void> {
    const all = await Array.fromAsync(source.referrers(subject, { signal, occasion }));
    const wanted = all.filter(({ tag }) => tag !== undefined || !onlyTags);
    if (wanted.length === 0) return;
    const kept = new Set<string>();
    for await (const referrer of target.referrers(subject, { damaged: "absent", signal }))
      kept.add(keyOf(referrer));
    const both = wanted.filter((referrer) => kept.has(keyOf(referrer)));
    late.push(...wanted.filter((referrer) => !kept.has(keyOf(referrer))));
    listed.push(...both);
    const next = both
      .map(({ descriptor }) => descriptor.digest)
      .filter((one) => seen.size < seen.add(one).size);
    if (depth < DEPTH_MAX) await group.all(next.map((one) => compare(one, depth + 1)));
  }

  await group.all(subjects.map((subject) => compare(subject, 1)));
  return { late, listed };
}

function keyOf({ descriptor, tag }: Referrer): string {
  return `${descriptor.digest} ${tag ?? ""}`;
}
