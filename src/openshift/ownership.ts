import { z } from "zod";

import { TagferryError } from "../errors/error.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import type { ImageStream } from "./image-stream.ts";
import { type TagReference, tagReferenceSchema } from "./tag-reference.ts";

/** The annotation of a stream that says which mirror owns which tag. */
export const OWNERSHIP_ANNOTATION = "tagferry.io/mirrors";

/** Unknown fields are kept: a newer version may have written them. */
const ownedTag = z.looseObject({
  installation: z.string(),
  mirror: z.string(),
  source: z.string(),
  digest: z.custom<Digest>(isDigest).optional(),
  missingSince: z.string().optional(),
  takeover: z.enum(["begun", "done"]).optional(),
  replaced: tagReferenceSchema.optional(),
});

const annotation = z.object({
  version: z.literal(1),
  tags: z.custom<object>((value) => typeof value === "object" && value !== null && !Array.isArray(value)),
});

/** Returns the original: a parsed copy may have another key order, which gives another text. */
function assertOwnedTag(json: unknown): asserts json is OwnedTag {
  ownedTag.parse(json);
}

/**
 * One tag that a mirror owns. `source`: its source (`docker.io/library/nginx:1.27`). `digest`: what was published last;
 * undefined between claim and publication. `missingSince`: ISO date of the first complete listing without the tag.
 * `takeover`: begun or finished. `replaced`: the previous spec tag, so that it can be restored.
 */
export type OwnedTag = {
  readonly installation: string;
  readonly mirror: string;
  readonly source: string;
  readonly digest?: Digest | undefined;
  readonly missingSince?: string | undefined;
  readonly takeover?: "begun" | "done" | undefined;
  readonly replaced?: TagReference | undefined;
};

/** By tag. A Map, because `__proto__` is a tag too. */
export type Ownership = ReadonlyMap<string, OwnedTag>;

/**
 * Reads the annotation. An unreadable annotation is never overwritten: a newer version may have written it.
 *
 * @throws {TagferryError} STREAM_OWNED
 */
export function readOwnership({ metadata }: Pick<ImageStream, "metadata">): Ownership {
  const text = metadata.annotations?.[OWNERSHIP_ANNOTATION];
  if (text === undefined || text === "") return new Map();
  try {
    const { tags } = annotation.parse(JSON.parse(text));
    return new Map(
      Object.entries(tags).map(([tag, owned]: [string, unknown]) => {
        assertOwnedTag(owned);
        return [tag, owned];
      }),
    );
  } catch (cause) {
    const where = `${metadata.namespace}/${metadata.name}`;
    throw new TagferryError(
      "STREAM_OWNED",
      `the annotation ${OWNERSHIP_ANNOTATION} of ${where} cannot be read`,
      {
        cause,
        where,
        next: "A newer Tagferry may have written it. If nobody needs it, remove it with `oc annotate`.",
      },
    );
  }
}

/**
 * The text of the annotation. Tags are sorted, so that equal ownership gives equal text. null removes the annotation.
 */
export function writeOwnership(ownership: Ownership): string | null {
  const tags = [...ownership].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return tags.length === 0 ? null : JSON.stringify({ version: 1, tags: Object.fromEntries(tags) });
}
