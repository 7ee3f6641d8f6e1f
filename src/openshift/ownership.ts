import { z } from "zod";

import { TagferryError } from "../errors/error.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import type { ImageStream, TagReference } from "./image-stream.ts";

/** The annotation of a stream that says which mirror owns which tag. */
export const OWNERSHIP_ANNOTATION = "tagferry.io/mirrors";

const replacedTag = z.looseObject({
  name: z.string(),
  from: z
    .looseObject({ kind: z.string(), name: z.string(), namespace: z.string().optional() })
    .nullable()
    .optional(),
  reference: z.boolean().optional(),
  importPolicy: z
    .looseObject({
      scheduled: z.boolean().optional(),
      insecure: z.boolean().optional(),
      importMode: z.string().optional(),
    })
    .optional(),
  referencePolicy: z.looseObject({ type: z.string().optional() }).optional(),
});

/** Unknown fields are kept: a newer version may have written them. */
const ownedTag = z.looseObject({
  installation: z.string(),
  mirror: z.string(),
  source: z.string(),
  digest: z.custom<Digest>(isDigest).optional(),
  missingSince: z.string().optional(),
  takeover: z.enum(["begun", "done"]).optional(),
  replaced: replacedTag.optional(),
});

const annotation = z.object({ version: z.literal(1), tags: z.record(z.string(), ownedTag) });

function assertAnnotation(json: unknown): asserts json is { readonly tags: Ownership } {
  annotation.parse(json);
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

export type Ownership = Readonly<Record<string, OwnedTag>>;

/**
 * Reads the annotation. An unreadable annotation is never overwritten: a newer version may have written it.
 *
 * @throws {TagferryError} STREAM_OWNED
 */
export function readOwnership({ metadata }: Pick<ImageStream, "metadata">): Ownership {
  const text = metadata.annotations?.[OWNERSHIP_ANNOTATION];
  if (text === undefined || text === "") return {};
  try {
    const json: unknown = JSON.parse(text);
    assertAnnotation(json);
    return json.tags; // the original object: a parsed copy may have another key order, which gives another text
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
  const tags = Object.entries(ownership).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return tags.length === 0 ? null : JSON.stringify({ version: 1, tags: Object.fromEntries(tags) });
}
