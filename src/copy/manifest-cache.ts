import type { Cancellable } from "../lib/cancel.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import type { ImageSource } from "../oci/store.ts";
import { onceMore } from "./once-more.ts";

/** Manifests between reading and pushing. */
export type ManifestCache = {
  /** Keeps it while there is room; never a second time what is not needed any more. */
  set(manifest: Manifest): void;
  /** What is held, else what is read again from the source: the same bytes, by their digest. */
  get(digest: Digest): Promise<Manifest>;
  delete(digest: Digest): void;
};

/** Enough for every image that exists, and a bound for those that should not. */
const HELD_MAX_BYTES = 16 * 1024 * 1024;

export function openManifestCache(source: ImageSource, { signal }: Cancellable): ManifestCache {
  const held = new Map<Digest, Manifest>();
  let heldBytes = 0;
  return {
    set(manifest) {
      const { digest, size } = manifest.descriptor;
      if (held.has(digest) || heldBytes + size > HELD_MAX_BYTES) return;
      held.set(digest, manifest);
      heldBytes += size;
    },
    get: async (digest) => held.get(digest) ?? onceMore(() => source.manifest(digest, { signal })),
    delete(digest) {
      heldBytes -= held.get(digest)?.bytes.length ?? 0;
      held.delete(digest);
    },
  };
}
