import type { Mirror } from "../../config/config.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ImageStream } from "../../openshift/image-stream.ts";
import { observedInStream } from "./stream-observed.ts";

/** A tag that is no longer as its mirror published it. `digest`: what it points at now. */
export type Drift = { readonly tag: string; readonly digest?: Digest };

/**
 * Changes that others made to the tags that this mirror published: another image, another location, a scheduled import
 * that came back, or a deleted tag. Sorted by tag. Tags that were claimed but not yet published are left out.
 */
export function driftOf(stream: ImageStream, mirror: Mirror, installation: string): readonly Drift[] {
  return Object.entries(observedInStream(stream, mirror, [], installation))
    .filter(
      ([, { published, digest, inPlace, importsFrom }]) =>
        published !== undefined && (digest !== published || !inPlace || importsFrom !== undefined),
    )
    .map(([tag, { digest }]) => ({ tag, ...(digest === undefined ? {} : { digest }) }))
    .toSorted((one, other) => (one.tag < other.tag ? -1 : 1));
}

/** Whether this mirror published any tag into the stream, according to the annotation. */
export function ownsTags(stream: ImageStream, mirror: Mirror, installation: string): boolean {
  return Object.keys(observedInStream(stream, mirror, [], installation)).length > 0;
}
