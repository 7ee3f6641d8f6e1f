import type { CopyEvent } from "../../copy/events.ts";
import { digestOfStem, digestTagStem, stemOfDigestTag } from "../../oci/digest-tag.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ProofRecord } from "./proofs.ts";

/** The digest tags of a listing, by the part that names the image. */
export type ListedDigestTags = ReadonlyMap<string, readonly string[]>;

export function digestTagsIn(listed: Iterable<{ readonly tag: string }>): ListedDigestTags {
  const found = new Map<string, string[]>();
  for (const { tag } of listed) {
    const stem = stemOfDigestTag(tag);
    if (stem === undefined) continue;
    const same = found.get(stem);
    if (same) same.push(tag);
    else found.set(stem, [tag]);
  }
  return found;
}

/**
 * The digest tags of the image of a record and of the manifests beneath it, as far as the record knows these. Sorted.
 */
export function digestTagsOf(
  { digest, beneath = [] }: Pick<ProofRecord, "digest" | "beneath">,
  listed: ListedDigestTags,
): readonly string[] {
  const stems = new Set([digest, ...beneath].map(digestTagStem));
  return [...stems].flatMap((stem) => listed.get(stem) ?? []).toSorted();
}

/** The manifests that digest tags belong to. */
export function subjectsOf(digestTags: readonly string[]): readonly Digest[] {
  const stems = new Set(digestTags.map((tag) => stemOfDigestTag(tag) ?? ""));
  return [...stems].flatMap((stem) => digestOfStem(stem) ?? []);
}

/** What a copy or a proof shows of the manifests and signatures of an image. */
export type KnownParts = Pick<ProofRecord, "beneath" | "digestTags">;

/**
 * Records of images with more manifests would be too large. Then only signatures of the image itself are noticed
 * early.
 */
const BENEATH_MAX = 64;

export function beneathOf(manifests: Iterable<Digest>, root: Digest): Pick<KnownParts, "beneath"> {
  const beneath = [...new Set(manifests)].filter((digest) => digest !== root);
  return beneath.length > 0 && beneath.length <= BENEATH_MAX ? { beneath } : {};
}

/** Collects from the events of a copy which manifests and which digest tags the image has. */
export function openKnownParts(): { note(event: CopyEvent): void; of(root: Digest): KnownParts } {
  const manifests = new Set<Digest>();
  const digestTags = new Set<string>();
  return {
    note(event) {
      if (event.kind !== "manifest") return;
      manifests.add(event.descriptor.digest);
      if (event.tag !== undefined && stemOfDigestTag(event.tag) !== undefined) digestTags.add(event.tag);
    },
    of: (root) => ({ ...beneathOf(manifests, root), digestTags: [...digestTags].toSorted() }),
  };
}
