import type { Digest } from "../oci/digest.ts";
import type { ImageSource, ImageTarget } from "../oci/store.ts";
import { openDigestTags } from "./api/digest-tags.ts";
import { getManifest, resolveManifest } from "./api/manifests.ts";
import { hasWholeBlob } from "./api/prove-blob.ts";
import { pushBlob } from "./api/push-blob.ts";
import { putManifest } from "./api/push-manifest.ts";
import { type BlobTimeouts, readBlob } from "./api/read-blob.ts";
import { fallbackTag, registerWithSubject, type subjectQueue } from "./api/referrers-tag.ts";
import { readReferrers } from "./api/referrers.ts";
import { surveyTags } from "./api/resolve-tags.ts";
import { listTags } from "./api/tags.ts";
import type { BlobLocations } from "./blob-locations.ts";
import type { RepositoryClient } from "./repository-client.ts";

/** What the repositories of one registry share. */
export type SharedParts = {
  /** The registry's normalized host. */
  readonly registry: string;
  readonly blobLocations: BlobLocations;
  readonly subjects: ReturnType<typeof subjectQueue>;
  readonly blobTimeouts: BlobTimeouts;
};

export type RegistryRepository = ImageSource & ImageTarget;

/** Opens one repository to read and write. Each method uses one part of the specification. */
export function openRepository(client: RepositoryClient, shared: SharedParts): RegistryRepository {
  const digestTags = openDigestTags();
  const upload = { client, blobLocations: shared.blobLocations };
  const referring = { client, digestTags };
  return {
    name: client.name,
    blobStore: shared.registry,
    get capabilities() {
      return client.profile().capabilities;
    },
    resolve: (reference, options) => resolveManifest(reference, client, options),
    resolveTags: (tags, options) => surveyTags(tags, client, options),
    manifest: (reference, options) => getManifest(reference, client, options),
    blob: (descriptor, options) => readBlob(descriptor, client, shared.blobTimeouts, options),
    referrers: (digest, options) => readReferrers(digest, referring, options),
    listing: (options) => listTags(client, options),
    pushBlob: (descriptor, open, options) => pushBlob(descriptor, open, upload, options),
    async pushManifest(manifest, { tag, signal } = {}) {
      const { subjectListed } = await putManifest(manifest, client, { tag, signal });
      if (tag !== undefined) digestTags.written(tag);
      const { subject } = manifest;
      if (!subject || subjectListed || client.profile().capabilities.referrers !== "all") return;
      const line = shared.subjects(`${client.repository}@${subject.digest}`);
      await line(() => registerWithSubject(manifest, client, { signal }), { signal });
      digestTags.written(fallbackTag(subject.digest));
    },
    hasBlob: (descriptor, options) => hasWholeBlob(descriptor, client, shared.blobTimeouts, options),
    forget(digests: Iterable<Digest>) {
      for (const digest of digests) shared.blobLocations.forget(digest, client.repository);
    },
  };
}
