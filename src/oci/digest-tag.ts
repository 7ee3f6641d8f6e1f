import { algorithmOf, type Digest, encodedOf } from "./digest.ts";

/**
 * A tag that belongs to an image and names it by its digest: the fallback tag of the referrers API (`sha256-HEX`), or
 * a tag of cosign (`sha256-HEX.sig`, `.att`, `.sbom`).
 */
const DIGEST_TAG = /^(sha(?:256|512)-[0-9a-f]{64})(?:\.(?:sig|att|sbom))?$/;
const ANY_DIGEST_TAG = /^sha(?:256|512)-[0-9a-f]{64}(?:\.\w+)?$/;

/** Whether a tag names an image by its digest, as all tags of cosign do, whatever they contain. */
export function isDigestTag(tag: string): boolean {
  return ANY_DIGEST_TAG.test(tag);
}

/** The part that all digest tags of an image have in common. */
export function digestTagStem(digest: Digest): string {
  return `${algorithmOf(digest)}-${encodedOf(digest).slice(0, 64)}`;
}

/** The stem of a digest tag; undefined for every other tag. */
export function stemOfDigestTag(tag: string): string | undefined {
  return DIGEST_TAG.exec(tag)?.[1];
}

/** The digest of a stem; undefined for sha512, because the tag has only half of it. */
export function digestOfStem(stem: string): Digest | undefined {
  return stem.startsWith("sha256-") ? `sha256:${stem.slice("sha256-".length)}` : undefined;
}
