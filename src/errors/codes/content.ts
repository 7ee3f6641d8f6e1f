import type { CodeFacts } from "../facts.ts";

/** Manifests, descriptors and blobs. */
export const CONTENT_CODES = {
  MANIFEST_UNKNOWN: {
    class: "source",
    meaning: "The tag or digest does not exist in this repository.",
    next: "Check the tag: `tagferry tags {repository}` lists all tags.",
  },
  BLOB_UNKNOWN: {
    class: "source",
    meaning: "The blob does not exist in this repository.",
    next: "The image is incomplete at its registry: push it there again.",
  },
  MANIFEST_EMPTY: {
    class: "source",
    meaning: "The registry answered with an empty manifest.",
    next: "Push the image to its registry again.",
    retry: "again",
  },
  MANIFEST_NOT_JSON: {
    class: "source",
    meaning: "The manifest is not JSON; often it is a login page or an error page.",
    next: "Check the proxies between Tagferry and the registry.",
  },
  MANIFEST_TOO_LARGE: {
    class: "source",
    meaning: "The manifest is larger than 8 MiB (reading) or 4 MiB (writing).",
    next: "Build a smaller image or index: registries do not accept larger manifests either.",
  },
  MANIFEST_DEPTH: {
    class: "source",
    meaning: "The manifest is nested deeper than 64 levels.",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_DUPLICATE_KEY: {
    class: "source",
    meaning: "A key occurs twice in the manifest, so two programs could read two different images.",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_ENCODING: {
    class: "source",
    meaning: "The manifest is not UTF-8, or begins with a byte order mark.",
    next: "The image is malformed: build it again.",
  },
  MEDIA_TYPE: {
    class: "source",
    meaning: "The media type is missing, or header and body disagree.",
    next: "Check the registry, and whether a proxy rewrites headers.",
  },
  MANIFEST_AMBIGUOUS: {
    class: "source",
    meaning: "The document is an image and an index at the same time.",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_SCHEMA1: {
    class: "source",
    meaning: "The image has the obsolete format schema 1.",
    next: "Pull and push it with a current tool, which converts it.",
  },
  MANIFEST_SHAPE: {
    class: "source",
    meaning: "The manifest lacks a required field (config, layers, manifests).",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_FANOUT: {
    class: "source",
    meaning: "The manifest names more than 10,000 layers or children.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_SIZE: {
    class: "source",
    meaning: "The size of a descriptor is missing, or is not a whole number below 2^53.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_DIGEST: {
    class: "source",
    meaning: "The digest of a descriptor is not valid.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_CONFLICT: {
    class: "source",
    meaning: "The manifest gives two different sizes for one digest.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_DATA: {
    class: "source",
    meaning: "The embedded data of a descriptor does not match its digest and size.",
    next: "The image is malformed: build it again.",
  },
  FOREIGN_LAYER: {
    class: "source",
    meaning: "The target refuses the image because its foreign layers are stored elsewhere.",
    next: "Use a target that accepts foreign layers.",
  },
  INDEX_LOOP: {
    class: "source",
    meaning: "An index is nested deeper than 8 levels, or contains itself.",
    next: "The image is malformed: build it again.",
  },
  INDEX_PLATFORM: {
    class: "policy",
    meaning: "An entry of the index has no platform. Image streams refuse such an index.",
    next: "For this image, use a repository as `storage`, or a registry as target.",
  },
  SOURCE_BROKEN: {
    class: "source",
    meaning: "The source has the manifest but not everything that it names.",
    next: "Push the image to its registry again. The other tags are not affected.",
  },
  PLATFORM_ABSENT: {
    class: "source",
    meaning: "The image has none of the requested platforms.",
    next: "Choose from the platforms that the image has, as `found` shows them.",
  },
  DIGEST_MISMATCH: {
    class: "source",
    meaning: "The bytes do not match the digest. Nothing was published.",
    next: "The registry, or a proxy in front of it, changes content: check both.",
  },
  DIGEST_HEADER: {
    class: "source",
    meaning:
      "The digest header of the registry does not match the bytes that it sends. Nothing was published.",
    next: "The registry, or a proxy in front of it, converts manifests: check both.",
  },
  BLOB_SHORT: {
    class: "source",
    meaning: "The blob ended before its size was reached.",
    next: "Nothing to do: Tagferry tries again. If it happens again, check the network and the storage of the registry.",
    retry: "again",
  },
  BLOB_LONG: {
    class: "source",
    meaning: "The blob is longer than its size. Nothing was published.",
    next: "The registry, or a proxy in front of it, changes content: check both.",
  },
} as const satisfies Record<string, CodeFacts>;
