import { TagferryError } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { isDigest } from "../oci/digest.ts";
import type { ImageSource, ImageTarget } from "../oci/store.ts";
import { findDigest, findName, type LayoutIndex, refName } from "./index-file.ts";
import type { ManifestLinks } from "./links.ts";
import { type Files, listedTags, readManifest, referrersOf, resolve } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** A layout with its bare tags, or one repository in it. */
export type LayoutView = ImageSource & ImageTarget;

type Store = {
  readonly files: Files;
  readonly linksOf: (index: LayoutIndex) => Promise<ManifestLinks>;
  readonly writer: Writer;
};

/** `repository`: `registry/repository`; undefined: the bare tags. */
export function openRepositoryView(
  { files, linksOf, writer }: Store,
  repository: string | undefined,
): LayoutView {
  const { index, blobs } = files;
  const name = repository === undefined ? files.name : `${files.name}:${repository}`;
  return {
    name,
    blobStore: files.name,
    capabilities: {
      sparseIndex: true,
      childrenVisible: true,
      referrers: "all",
      indexNeedsPlatforms: false,
      // blobs may be missing from a layout
      manifestImpliesContent: false,
    },
    async resolve(reference, { signal } = {}) {
      signal?.throwIfAborted();
      return resolve(files, reference, repository);
    },
    async resolveTags(tags, { signal } = {}) {
      const found = new Map<string, Descriptor>();
      for (const tag of tags) {
        signal?.throwIfAborted();
        const descriptor = await resolve(files, tag, repository);
        if (descriptor) found.set(tag, descriptor);
      }
      return found;
    },
    async manifest(reference, { signal } = {}) {
      signal?.throwIfAborted();
      const named = isDigest(reference)
        ? { digest: reference, mediaType: findDigest(await index.read(), reference)?.mediaType }
        : findName(await index.read(), refName(reference, repository));
      const manifest = named && (await readManifest(files, named.digest, named.mediaType));
      if (manifest) return manifest;
      throw new TagferryError("MANIFEST_UNKNOWN", `${name} has no ${reference}`, {
        where: `${name}:${reference}`,
      });
    },
    blob: ({ digest }, options) => blobs.read(digest, options),
    async hasBlob(descriptor, { bytes = false, signal } = {}) {
      signal?.throwIfAborted();
      return bytes ? blobs.isWhole(descriptor, { signal }) : blobs.has(descriptor);
    },
    async *referrers(digest, { damaged = "error", signal } = {}) {
      signal?.throwIfAborted();
      const current = await index.read();
      const links = await linksOf(current);
      if (links.damage && damaged === "error") throw links.damage;
      yield* referrersOf(digest, { index: current, links, repository });
    },
    async *listing({ signal } = {}) {
      signal?.throwIfAborted();
      yield* listedTags(await index.read(), repository);
    },
    pushBlob: (descriptor, open, options) => writer.pushBlob(descriptor, open, options),
    pushManifest: (manifest, options) => writer.pushManifest(manifest, { ...options, repository }),
    forget: (digests) => writer.forget(digests),
  };
}
