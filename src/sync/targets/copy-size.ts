import type { Mirror } from "../../config/config.ts";
import { choosePlatforms } from "../../copy/platforms.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { mapConcurrently } from "../../lib/limit.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { DOCKER_HUB } from "../../oci/reference.ts";
import type { ImageSource, ImageTarget } from "../../oci/store.ts";
import type { Change, Plan } from "../../plan/action.ts";
import type { Context } from "../context.ts";
import { locationOf } from "../sources.ts";
import { openTarget } from "./open.ts";

/** What a run would copy for one mirror, without manifests and referrers. */
export type CopySize = {
  readonly bytes: number;
  /** Tags whose manifests could not be read. Their bytes are missing in `bytes`. */
  readonly unknownTags: readonly string[];
};

const MANIFESTS_AT_ONCE = 8;
const BLOBS_AT_ONCE = 16;
const DEPTH_MAX = 4;

/** Docker Hub counts a GET of a manifest as a pull, so it is read only on request. */
export function sizesAreCheap({ source }: Mirror): boolean {
  return source.kind !== "registry" || source.registry !== DOCKER_HUB;
}

/**
 * Reads the manifests of the tags that a plan changes, and asks the target which blobs it has. Writes nothing. A blob
 * that several tags share counts once.
 */
export async function copySize(
  { actions }: Plan,
  mirror: Mirror,
  context: Context,
  { signal }: Cancellable = {},
): Promise<CopySize> {
  const changes = actions.filter(
    (action): action is Change => action.kind === "create" || action.kind === "update",
  );
  const target = changes.length === 0 ? undefined : await targetOf(mirror, context, { signal });
  if (!target) return { bytes: 0, unknownTags: [] };
  const blobs = new Map<Digest, Descriptor>();
  const unknownTags: string[] = [];
  const read = async ({ tag, from, image }: Change): Promise<void> => {
    try {
      const source = await context.source(locationOf(mirror, from));
      for (const blob of await blobsOf(image.digest, source, mirror, { signal }))
        blobs.set(blob.digest, blob);
    } catch {
      signal?.throwIfAborted();
      unknownTags.push(tag);
    }
  };
  for await (const _ of mapConcurrently(changes, MANIFESTS_AT_ONCE, read));
  let bytes = 0;
  const count = async (blob: Descriptor): Promise<void> => {
    if (!(await isAt(target, blob, { signal }))) bytes += blob.size;
  };
  for await (const _ of mapConcurrently([...blobs.values()], BLOBS_AT_ONCE, count));
  return { bytes, unknownTags };
}

/** undefined: nothing is copied, or the target cannot be reached. */
async function targetOf(
  mirror: Mirror,
  context: Context,
  { signal }: Cancellable,
): Promise<ImageTarget | undefined> {
  try {
    return await openTarget(mirror, context).publisher().copyTarget({ signal });
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}

async function blobsOf(
  digest: Digest,
  source: ImageSource,
  mirror: Mirror,
  options: Cancellable,
  depth = 0,
): Promise<readonly Descriptor[]> {
  const manifest = await source.manifest(digest, options);
  if (manifest.kind === "image" || depth >= DEPTH_MAX) return manifest.blobs;
  const children = mirror.platforms ? choosePlatforms(manifest, mirror.platforms).chosen : manifest.children;
  const below = children.map((child) => blobsOf(child.digest, source, mirror, options, depth + 1));
  return (await Promise.all(below)).flat();
}

/** A repository that does not exist yet has no blob. */
async function isAt(target: ImageTarget, blob: Descriptor, { signal }: Cancellable): Promise<boolean> {
  try {
    return await target.hasBlob(blob, { signal });
  } catch {
    signal?.throwIfAborted();
    return false;
  }
}
