import type { CodeFacts } from "../facts.ts";

/** Manifests, descriptors and blobs. */
export const CONTENT_CODES = {
  MANIFEST_UNKNOWN: {
    class: "source",
    meaning: "The tag or digest does not exist in this repository.",
    next: "Look at the tag: `tagferry tags REPOSITORY` lists them.",
  },
  BLOB_UNKNOWN: {
    class: "source",
    meaning: "The blob does not exist in this repository.",
    next: "The image is broken at its registry: push it there again.",
  },
  MANIFEST_EMPTY: {
    class: "source",
    meaning: "The manifest came without a byte.",
    next: "Push the image again at its registry.",
    retry: "again",
  },
  MANIFEST_NOT_JSON: {
    class: "source",
    meaning: "The manifest is not JSON (a login page, an error page).",
    next: "Look at what stands between us and the registry.",
  },
  MANIFEST_TOO_LARGE: {
    class: "source",
    meaning: "The manifest is larger than 8 MiB (reading) or 4 MiB (writing).",
    next: "Nothing here: registries accept no more either.",
  },
  MANIFEST_DEPTH: {
    class: "source",
    meaning: "The manifest is nested deeper than 64 levels.",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_DUPLICATE_KEY: {
    class: "source",
    meaning: "A key stands twice in the manifest, so two readers could see two images.",
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
    next: "Look at the registry; a proxy may rewrite headers.",
  },
  MANIFEST_AMBIGUOUS: {
    class: "source",
    meaning: "The document is an image and an index at once.",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_SCHEMA1: {
    class: "source",
    meaning: "The image is in the withdrawn schema 1 format.",
    next: "Pull and push it with a current tool, which converts it.",
  },
  MANIFEST_SHAPE: {
    class: "source",
    meaning: "The manifest lacks what its kind must have (config, layers, manifests).",
    next: "The image is malformed: build it again.",
  },
  MANIFEST_FANOUT: {
    class: "source",
    meaning: "The manifest names more than 10,000 layers or children.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_SIZE: {
    class: "source",
    meaning: "A descriptor's size is missing or not a whole number below 2^53.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_DIGEST: {
    class: "source",
    meaning: "A descriptor's digest is not one.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_CONFLICT: {
    class: "source",
    meaning: "One digest stands in the manifest with two sizes.",
    next: "The image is malformed: build it again.",
  },
  DESCRIPTOR_DATA: {
    class: "source",
    meaning: "A descriptor's embedded data is not what its digest and size say.",
    next: "The image is malformed: build it again.",
  },
  FOREIGN_LAYER: {
    class: "source",
    meaning: "The target refuses the image because its foreign layers live elsewhere.",
    next: "Use a target that accepts foreign layers.",
  },
  INDEX_LOOP: {
    class: "source",
    meaning: "An index is nested deeper than 8 levels, or contains itself.",
    next: "The image is malformed: build it again.",
  },
  INDEX_PLATFORM: {
    class: "policy",
    meaning: "An entry of the index has no platform; image streams refuse such an index.",
    next: "Use storage: a repository elsewhere, or a registry target, for this image.",
  },
  SOURCE_BROKEN: {
    class: "source",
    meaning: "The source has the manifest but not all that it names.",
    next: "Push the image again at its registry; the other tags are not affected.",
  },
  PLATFORM_ABSENT: {
    class: "source",
    meaning: "The image has none of the platforms that are asked for.",
    next: "Choose from the platforms that are listed.",
  },
  DIGEST_MISMATCH: {
    class: "source",
    meaning: "The bytes are not those of the digest.",
    next: "The registry or a proxy in between alters content: look there. Nothing was published.",
  },
  DIGEST_HEADER: {
    class: "source",
    meaning: "The registry's digest header disagrees with the bytes it sends.",
    next: "The registry or a proxy converts manifests: look there. Nothing was published.",
  },
  BLOB_SHORT: {
    class: "source",
    meaning: "The blob ended before its size.",
    next: "Nothing: it is tried again; look at the network or the registry's storage if it stays.",
    retry: "again",
  },
  BLOB_LONG: {
    class: "source",
    meaning: "The blob is longer than its size.",
    next: "The registry or a proxy alters content: look there. Nothing was published.",
  },
} as const satisfies Record<string, CodeFacts>;
