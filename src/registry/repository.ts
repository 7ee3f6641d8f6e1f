import type { Digest } from "../oci/digest.ts";
import type { ImageSource, ImageTarget } from "../oci/store.ts";
import { type BlobTimeouts, readBlob } from "./blob.ts";
import type { Endpoint } from "./endpoint.ts";
import { fallbackTag, registerWithSubject, type subjectQueue } from "./fallback-index.ts";
import type { BlobKnowledge } from "./knowledge.ts";
import { getManifest, putManifest, resolveManifest } from "./manifests.ts";
import { openDigestTags, readReferrers, type ReferrersMemory } from "./referrers.ts";
import { surveyTags } from "./tag-survey.ts";
import { listTags } from "./tags.ts";
import type { UploadMemory } from "./upload-session.ts";
import { placeBlob } from "./upload.ts";

/** What the repositories of one registry share. */
export type Shared = {
  /** The registry's normalised host. */
  readonly registry: string;
  readonly knowledge: BlobKnowledge;
  readonly referrers: ReferrersMemory;
  readonly uploads: UploadMemory;
  readonly subjects: ReturnType<typeof subjectQueue>;
  readonly blobTimeouts: BlobTimeouts;
};

export type RegistryRepository = ImageSource & ImageTarget;

/** One repository of a registry, to read from and to write to. One method, one endpoint of the specification. */
export function openRepository(endpoint: Endpoint, shared: Shared): RegistryRepository {
  const digestTags = openDigestTags();
  const upload = { endpoint, knowledge: shared.knowledge, memory: shared.uploads };
  const referring = { endpoint, memory: shared.referrers, digestTags };
  return {
    name: endpoint.name,
    blobStore: shared.registry,
    get capabilities() {
      return endpoint.profile().capabilities;
    },
    resolve: (reference, options) => resolveManifest(reference, endpoint, options),
    resolveTags: (tags, options) => surveyTags(tags, endpoint, options),
    manifest: (reference, options) => getManifest(reference, endpoint, options),
    blob: (descriptor, options) => readBlob(descriptor, endpoint, shared.blobTimeouts, options),
    referrers: (digest, options) => readReferrers(digest, referring, options),
    listing: (options) => listTags(endpoint, options),
    pushBlob: (descriptor, open, options) => placeBlob(descriptor, open, upload, options),
    async pushManifest(manifest, { tag, signal } = {}) {
      const { subjectListed } = await putManifest(manifest, endpoint, { tag, signal });
      if (tag !== undefined) digestTags.written(tag);
      const { subject } = manifest;
      if (!subject || subjectListed || endpoint.profile().capabilities.referrers !== "all") return;
      const line = shared.subjects(`${endpoint.repository}@${subject.digest}`);
      await line(() => registerWithSubject(manifest, endpoint, { signal }), { signal });
      digestTags.written(fallbackTag(subject.digest));
    },
    forget(digests: Iterable<Digest>) {
      for (const digest of digests) shared.knowledge.forget(digest, endpoint.repository);
    },
  };
}
