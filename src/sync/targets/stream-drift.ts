import type { Mirror } from "../../config/config.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ImageStream } from "../../openshift/image-stream.ts";
import { observedInStream } from "./stream-observed.ts";

/** A tag that is no longer as its mirror published it; `digest`: what it points at now. */
export type Drift = { readonly tag: string; readonly digest?: Digest };

/**
 * What somebody else did to the tags that this mirror published: another image, another place, an import that came back,
 * or nothing left. Sorted by tag. What was claimed and not published yet is none of it.
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

/** Whether this mirror published anything into the stream, as far as its annotation tells. */
export function ownsTags(stream: ImageStream, mirror: Mirror, installation: string): boolean {
  return Object.keys(observedInStream(stream, mirror, [], installation)).length > 0;
}
