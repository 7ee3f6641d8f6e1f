import type { Cancellable } from "../lib/cancel.ts";
import type { Semaphore } from "../lib/semaphore.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import type { ImageSource } from "../oci/store.ts";
import { onceMore } from "./once-more.ts";

/** Keeps manifests from the time they are read until they are pushed. Disposing gives its memory back. */
export type ManifestCache = Disposable & {
  /** Keeps a manifest while there is room. */
  set(manifest: Manifest): void;
  /** The cached manifest, otherwise reads it from the source again. The bytes are the same, because the digest is. */
  get(digest: Digest): Promise<Manifest>;
  delete(digest: Digest): void;
};

/** `memory`: its places are bytes. All copies of the process share it. */
export type CacheOptions = Cancellable & { readonly memory: Semaphore };

export function openManifestCache(source: ImageSource, { memory, signal }: CacheOptions): ManifestCache {
  const cached = new Map<Digest, { readonly manifest: Manifest; readonly room: Disposable }>();
  return {
    set(manifest) {
      const { digest, size } = manifest.descriptor;
      if (cached.has(digest)) return;
      const room = memory.tryAcquire(size);
      if (room) cached.set(digest, { manifest, room });
    },
    get: async (digest) =>
      cached.get(digest)?.manifest ?? onceMore(() => source.manifest(digest, { signal })),
    delete(digest) {
      cached.get(digest)?.room[Symbol.dispose]();
      cached.delete(digest);
    },
    [Symbol.dispose]() {
      for (const { room } of cached.values()) room[Symbol.dispose]();
      cached.clear();
    },
  };
}
