import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { algorithmOf, type Digest, encodedOf } from "../../../src/oci/digest.ts";
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  OCI_ARTIFACT,
  OCI_CONFIG,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../../src/oci/media-type.ts";
import type { Platform } from "../../../src/oci/platform.ts";
import { buildForeignLayer, buildLayer, type Compression, descriptorOf, type Layer } from "./content.ts";
import {
  blobMap,
  type BuiltImage,
  type BuiltManifest,
  type Document,
  manifestDescriptor,
  sealManifest,
  type Written,
} from "./manifest.ts";
import { fallbackIndexes, type HttpRegistry, pushOverHttp } from "./push.ts";

const LINUX_AMD64: Platform = { os: "linux", architecture: "amd64" };

export const FIVE_PLATFORMS: readonly Platform[] = [
  LINUX_AMD64,
  { os: "linux", architecture: "arm64", variant: "v8" },
  { os: "linux", architecture: "arm", variant: "v7" },
  { os: "linux", architecture: "ppc64le" },
  { os: "linux", architecture: "s390x" },
];

type Odd = {
  /** White space, key order and escapes that no serialiser writes, and a newline at the end. */
  readonly oddWhitespace?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
};

export type ImageOptions = Odd & {
  /** The same seed gives the same image; another one shares nothing with it but layers that are passed in. */
  readonly seed?: string;
  /** How many, or the size in bytes of each, or layers made by `buildLayer` (to share them). Default: 2. */
  readonly layers?: number | readonly (number | Layer)[];
  /** Docker schema 2 instead of OCI. */
  readonly docker?: boolean;
  readonly platform?: Platform;
  /** ISO date, in the config. */
  readonly created?: string;
  readonly compression?: Compression;
  /** One more layer, which is a foreign layer. */
  readonly foreign?: boolean;
  readonly subject?: BuiltImage;
  /** Fields that are in no specification. */
  readonly extra?: Readonly<Record<string, unknown>>;
};

/** A complete image that runs nothing: layers that unpack, and a config with their diff ids and a history. */
export function buildImage(options: ImageOptions = {}): BuiltImage {
  const { seed = "image", docker = false, foreign = false, annotations, subject, extra = {} } = options;
  const layers = [
    ...layersOf(options),
    ...(foreign ? [buildForeignLayer(`${seed}-foreign`, { docker })] : []),
  ];
  const config = Buffer.from(JSON.stringify(configOf(layers, options)));
  const configType = docker ? "application/vnd.docker.container.image.v1+json" : OCI_CONFIG;
  const document: Document = {
    schemaVersion: 2,
    mediaType: docker ? DOCKER_MANIFEST : OCI_MANIFEST,
    config: descriptorOf(config, configType),
    layers: layers.map(({ bytes, mediaType, urls }) => ({
      ...descriptorOf(bytes, mediaType),
      ...(urls ? { urls } : {}),
    })),
    ...(subject ? { subject: manifestDescriptor(subject.manifest) } : {}),
    ...(annotations ? { annotations } : {}),
    ...extra,
  };
  return {
    manifest: sealManifest(document, options),
    blobs: blobMap(config, ...layers.filter(({ urls }) => !urls).map(({ bytes }) => bytes)),
    children: [],
    referrers: [],
  };
}

function layersOf({
  seed = "image",
  layers = 2,
  docker = false,
  compression = "gzip",
}: ImageOptions): Layer[] {
  const wanted = typeof layers === "number" ? Array.from({ length: layers }, () => 1_000) : layers;
  return wanted.map((layer, position) =>
    typeof layer === "number"
      ? buildLayer(`${seed}-${position}`, { sizeBytes: layer, compression, docker })
      : layer,
  );
}

function configOf(layers: readonly Layer[], options: ImageOptions): Record<string, unknown> {
  const { seed = "image", created = "2026-01-02T03:04:05Z", platform = LINUX_AMD64 } = options;
  return {
    created,
    ...platform,
    config: { Env: ["PATH=/usr/bin"], Entrypoint: ["/srv/run"], Labels: { seed } },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((_layer, position) => ({ created, created_by: `COPY ${seed} layer ${position}` })),
  };
}

export type IndexEntry = {
  readonly image: BuiltImage;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** An index of images (or indexes) that exist already. */
export function buildIndexOf(
  entries: readonly IndexEntry[],
  { docker = false, annotations, ...odd }: Odd & { readonly docker?: boolean } = {},
): BuiltImage {
  const manifests = entries.map(({ image, ...facts }) => ({
    ...manifestDescriptor(image.manifest),
    ...facts,
  }));
  const document: Document = {
    schemaVersion: 2,
    mediaType: docker ? DOCKER_LIST : OCI_INDEX,
    manifests,
    ...(annotations ? { annotations } : {}),
  };
  return {
    manifest: sealManifest(document, odd),
    blobs: new Map(),
    children: entries.map(({ image }) => image),
    referrers: [],
  };
}

export type IndexOptions = Omit<ImageOptions, "platform" | "subject" | "extra"> & {
  /** Default: five. */
  readonly platforms?: readonly Platform[];
  /** One BuildKit attestation manifest beside each platform. */
  readonly attestations?: boolean;
  /** Entries have no platform: this is allowed, but image streams refuse it. */
  readonly withoutPlatforms?: boolean;
};

/** An index with one image per platform. */
export function buildIndex(options: IndexOptions = {}): BuiltImage {
  const {
    seed = "index",
    platforms = FIVE_PLATFORMS,
    attestations = false,
    withoutPlatforms = false,
  } = options;
  const { annotations, oddWhitespace = false, docker = false, ...imageOptions } = options;
  const images = platforms.map((platform): IndexEntry => {
    const { os, architecture, variant = "" } = platform;
    const child = { ...imageOptions, docker, platform, seed: `${seed}-${os}-${architecture}${variant}` };
    return { image: buildImage(child), ...(withoutPlatforms ? {} : { platform }) };
  });
  const attested = attestations ? images.map(({ image }) => attestationOf(image)) : [];
  return buildIndexOf([...images, ...attested], {
    docker,
    oddWhitespace,
    ...(annotations ? { annotations } : {}),
  });
}

/** As BuildKit writes it: an ordinary manifest, tied to its image by the annotations of its index entry. */
function attestationOf(image: BuiltImage): IndexEntry {
  const { digest } = image.manifest;
  const statement = Buffer.from(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v0.1",
      predicateType: "https://slsa.dev/provenance/v0.2",
      subject: [{ name: "image", digest: { sha256: encodedOf(digest) } }],
      predicate: { buildType: "https://mobyproject.org/buildkit@v1" },
    }),
  );
  const mediaType = "application/vnd.in-toto+json";
  const unknown: Platform = { os: "unknown", architecture: "unknown" };
  const attestation = buildImage({
    seed: `attestation-${digest}`,
    layers: [{ bytes: statement, mediaType, diffId: descriptorOf(statement, mediaType).digest }],
    platform: unknown,
  });
  return {
    image: attestation,
    platform: unknown,
    annotations: {
      "vnd.docker.reference.type": "attestation-manifest",
      "vnd.docker.reference.digest": digest,
    },
  };
}

/** An index that lists an index (two platforms) and an image (a third). */
export function buildNestedIndex({
  seed = "nested",
  ...odd
}: Odd & { readonly seed?: string } = {}): BuiltImage {
  const platform: Platform = { os: "linux", architecture: "riscv64" };
  const inner = buildIndex({ seed: `${seed}-inner`, platforms: FIVE_PLATFORMS.slice(0, 2), layers: 1 });
  const image = buildImage({ seed: `${seed}-image`, platform, layers: 1 });
  return buildIndexOf([{ image: inner }, { image, platform }], odd);
}

export type ArtifactOptions = Odd & {
  readonly artifactType?: string;
  readonly files?: readonly { readonly mediaType: string; readonly bytes: Uint8Array }[];
  readonly subject?: BuiltImage;
  /** The withdrawn artifact manifest of OCI 1.1-rc, with `blobs` and no config. */
  readonly withdrawn?: boolean;
};

const EMPTY_JSON = Buffer.from("{}");

/** An OCI artifact: an image manifest with an empty config, or the withdrawn artifact manifest. */
export function buildArtifact({
  artifactType = "application/vnd.example.thing.v1",
  files = [{ mediaType: "text/plain", bytes: Buffer.from("hello") }],
  subject,
  withdrawn = false,
  annotations,
  ...odd
}: ArtifactOptions = {}): BuiltImage {
  const named = files.map(({ bytes, mediaType }) => descriptorOf(bytes, mediaType));
  const empty: Descriptor = { ...descriptorOf(EMPTY_JSON, OCI_EMPTY), data: EMPTY_JSON.toString("base64") };
  const document: Document = {
    ...(withdrawn ? {} : { schemaVersion: 2 }),
    mediaType: withdrawn ? OCI_ARTIFACT : OCI_MANIFEST,
    artifactType,
    ...(withdrawn ? { blobs: named } : { config: empty, layers: named }),
    ...(subject ? { subject: manifestDescriptor(subject.manifest) } : {}),
    ...(annotations ? { annotations } : {}),
  };
  return {
    manifest: sealManifest(document, odd),
    blobs: blobMap(...(withdrawn ? [] : [EMPTY_JSON]), ...files.map(({ bytes }) => bytes)),
    children: [],
    referrers: [],
  };
}

/** A software bill of materials that refers to `image`. */
export function buildSbom(image: BuiltImage): BuiltImage {
  const document = { spdxVersion: "SPDX-2.3", name: image.manifest.digest, packages: [{ name: "busybox" }] };
  const mediaType = "application/spdx+json";
  return buildArtifact({
    artifactType: mediaType,
    files: [{ mediaType, bytes: Buffer.from(JSON.stringify(document)) }],
    subject: image,
    annotations: { "org.opencontainers.image.created": "2026-01-02T03:04:05Z" },
  });
}

/** A signature that refers to `image` by its subject, as notation writes them. */
export function buildSignature(image: BuiltImage): BuiltImage {
  const payload = Buffer.from(JSON.stringify({ targetArtifact: manifestDescriptor(image.manifest) }));
  return buildArtifact({
    artifactType: "application/vnd.cncf.notary.signature",
    files: [{ mediaType: "application/jose+json", bytes: payload }],
    subject: image,
  });
}

/** `image` with its referrers. A referrer may have referrers of its own. */
export function withReferrers(image: BuiltImage, ...referrers: readonly BuiltImage[]): BuiltImage {
  return { ...image, referrers: [...image.referrers, ...referrers.map((referrer) => ({ image: referrer }))] };
}

/** The tag under which cosign keeps what belongs to a digest. */
export function cosignTag(digest: Digest, suffix: ".sig" | ".att" | ".sbom" = ".sig"): string {
  return `${algorithmOf(digest)}-${encodedOf(digest)}${suffix}`;
}

/** `image` with a valid cosign signature, which only has its tag. Without `key`, signed by an unknown key. */
export function signCosign(
  image: BuiltImage,
  {
    privateKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  }: { readonly privateKey?: KeyObject } = {},
): BuiltImage {
  const { digest } = image.manifest;
  const payload = Buffer.from(
    `{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":"${digest}"},"type":"cosign container image signature"},"optional":null}`,
  );
  const mediaType = "application/vnd.dev.cosign.simplesigning.v1+json";
  const payloadDescriptor = descriptorOf(payload, mediaType);
  const config = Buffer.from(
    JSON.stringify({
      architecture: "",
      created: "0001-01-01T00:00:00Z",
      history: [{ created: "0001-01-01T00:00:00Z" }],
      os: "",
      rootfs: { type: "layers", diff_ids: [payloadDescriptor.digest] },
      config: {},
    }),
  );
  const annotations = {
    "dev.cosignproject.cosign/signature": sign("sha256", payload, privateKey).toString("base64"),
  };
  const manifest = sealManifest({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptorOf(config, OCI_CONFIG),
    layers: [{ ...payloadDescriptor, annotations }],
  });
  const signature: BuiltImage = { manifest, blobs: blobMap(config, payload), children: [], referrers: [] };
  return { ...image, referrers: [...image.referrers, { image: signature, tag: cosignTag(digest) }] };
}

/** Every manifest once, in the order in which a registry takes them: children, their parent, what refers to it. */
export function allManifests(
  image: BuiltImage,
  { referrers = true }: { readonly referrers?: boolean } = {},
): BuiltManifest[] {
  return [...writesOf(image, undefined, { referrers }).values()].map(({ manifest }) => manifest);
}

/** Every blob of it, its children and (by default) its referrers, each once. */
export function allBlobs(
  image: BuiltImage,
  { referrers = true }: { readonly referrers?: boolean } = {},
): Map<Digest, Uint8Array> {
  const blobs = new Map(image.blobs);
  const below = [...image.children, ...(referrers ? image.referrers.map((referrer) => referrer.image) : [])];
  for (const other of below)
    for (const [digest, bytes] of allBlobs(other, { referrers })) blobs.set(digest, bytes);
  return blobs;
}

function writesOf(
  image: BuiltImage,
  tag: string | undefined,
  options: { readonly referrers: boolean },
  writes: Map<Digest, Written> = new Map(),
): Map<Digest, Written> {
  const { manifest, children, referrers } = image;
  for (const child of children) writesOf(child, undefined, options, writes);
  if (!writes.has(manifest.digest))
    writes.set(manifest.digest, { manifest, ...(tag === undefined ? {} : { tag }) });
  if (options.referrers)
    for (const referrer of referrers) writesOf(referrer.image, referrer.tag, options, writes);
  return writes;
}

/** A registry whose storage a test writes directly, without requests. */
export type MemoryRegistry = {
  putBlob(repository: string, bytes: Uint8Array): unknown;
  putManifest(repository: string, bytes: Uint8Array, mediaType: string, tag?: string): unknown;
};

export type PushOptions = {
  /**
   * Whether referrers are also listed under the fallback tag (`sha256-HEX`). In memory: as told, by default not. Over
   * HTTP: where the registry does not answer OCI-Subject, as every client does.
   */
  readonly fallbackTags?: boolean;
};

/**
 * Puts an image where tests read it: blobs, children, the image, referrers. Without `tag` only the digest names it.
 *
 * Into the fault registry without a request; by HTTP into any other.
 */
export async function pushTo(
  registry: MemoryRegistry | HttpRegistry,
  repository: string,
  image: BuiltImage,
  tag?: string,
  { fallbackTags }: PushOptions = {},
): Promise<BuiltImage> {
  const writes = [...writesOf(image, tag, { referrers: true }).values()];
  if (!("putBlob" in registry)) {
    await pushOverHttp(registry, repository, { blobs: allBlobs(image), writes });
    return image;
  }
  for (const bytes of allBlobs(image).values()) registry.putBlob(repository, bytes);
  for (const write of writes)
    registry.putManifest(repository, write.manifest.bytes, write.manifest.mediaType, write.tag);
  if (fallbackTags)
    for (const index of fallbackIndexes(writes.map(({ manifest }) => manifest)))
      registry.putManifest(repository, index.manifest.bytes, index.manifest.mediaType, index.tag);
  return image;
}
