import { TagferryError } from "../errors/error.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import type { ImageStream, TagReference } from "./image-stream.ts";

/** Where a stream says whose its tags are. */
export const OWNERSHIP_ANNOTATION = "tagferry.io/mirrors";

/** One tag that a mirror owns. */
export type OwnedTag = {
  readonly installation: string;
  readonly mirror: string;
  /** Where it comes from: `docker.io/library/nginx:1.27`. */
  readonly source: string;
  /** What was published last; undefined between claim and publication. */
  readonly digest?: Digest;
  /** ISO date of the first complete listing without it. */
  readonly missingSince?: string;
  /** A takeover that is under way, or was finished. */
  readonly takeover?: "begun" | "done";
  /** The spec tag as it was before, for giving it back. */
  readonly replaced?: TagReference;
};

export type Ownership = Readonly<Record<string, OwnedTag>>;

/**
 * Reads the annotation. One that cannot be read is never overwritten: it is somebody's, of another version.
 *
 * @throws {TagferryError} STREAM_OWNED
 */
export function readOwnership({ metadata }: Pick<ImageStream, "metadata">): Ownership {
  const text = metadata.annotations?.[OWNERSHIP_ANNOTATION];
  if (text === undefined || text === "") return {};
  const unreadable = (cause?: unknown): TagferryError =>
    new TagferryError(
      "STREAM_OWNED",
      `the annotation ${OWNERSHIP_ANNOTATION} of ${metadata.namespace}/${metadata.name} cannot be read`,
      {
        cause,
        where: `${metadata.namespace}/${metadata.name}`,
        next: "A newer Tagferry may have written it. If nobody needs it, remove it with `oc annotate`.",
      },
    );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw unreadable(cause);
  }
  const { version, tags } = (typeof json === "object" && json !== null ? json : {}) as {
    version?: unknown;
    tags?: unknown;
  };
  if (version !== 1 || typeof tags !== "object" || tags === null) throw unreadable();
  return Object.fromEntries(
    Object.entries(tags).map(([tag, owned]) => {
      if (!isOwnedTag(owned)) throw unreadable();
      return [tag, owned];
    }),
  );
}

function isOwnedTag(json: unknown): json is OwnedTag {
  if (typeof json !== "object" || json === null) return false;
  const { installation, mirror, source, digest } = json as Record<string, unknown>;
  return (
    typeof installation === "string" &&
    typeof mirror === "string" &&
    typeof source === "string" &&
    (digest === undefined || isDigest(digest))
  );
}

/** The annotation's text: tags sorted, so that the same ownership is the same text. null removes it. */
export function writeOwnership(ownership: Ownership): string | null {
  const tags = Object.entries(ownership).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return tags.length === 0 ? null : JSON.stringify({ version: 1, tags: Object.fromEntries(tags) });
}
