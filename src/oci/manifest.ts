import type { ErrorCode } from "../errors/codes.ts";
import { TagferryError } from "../errors/error.ts";
import type { Descriptor } from "./descriptor.ts";
import { type Digest, digestOf, algorithmOf, isDigest } from "./digest.ts";
import { type Json, parseStrictJson } from "./json.ts";
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1_SIGNED,
  isForeignLayerType,
  isIndexType,
  isSchema1Type,
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
} from "./media-type.ts";
import type { Platform } from "./platform.ts";

/** Registries must accept 4 MiB. Some store larger manifests. */
export const MANIFEST_READ_MAX_BYTES = 8 * 1024 * 1024;
export const MANIFEST_WRITE_MAX_BYTES = 4 * 1024 * 1024;
const FANOUT_MAX = 10_000;

/**
 * A manifest as it was received. Only `bytes` are hashed, stored and sent. They are never made from the parsed form.
 */
export type Manifest = {
  /** The mediaType, digest and size of `bytes`. */
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly kind: "index" | "image";
  /** The manifests that an index lists, in its order. Empty for an image. */
  readonly children: readonly Descriptor[];
  /** The config and layers (or blobs) of an image, in its order, without foreign layers. Empty for an index. */
  readonly blobs: readonly Descriptor[];
  /** Layers that their licence keeps at another server. */
  readonly foreign: readonly Descriptor[];
  /** The config of an image. It is also the first of `blobs`. */
  readonly config?: Descriptor;
  readonly subject?: Descriptor;
  readonly artifactType?: string;
  readonly annotations: Readonly<Record<string, string>>;
};

/**
 * Checks the bytes of a manifest and parses what it names.
 *
 * `contentType` is the header of the registry; its parameters are ignored. `expected` is the requested digest, if
 * there was one. Unknown media types of config and layers are allowed; such blobs are copied unchanged.
 *
 * @throws {TagferryError} DIGEST_MISMATCH and the codes MANIFEST_*, MEDIA_TYPE, DESCRIPTOR_*
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
 */
export function parseManifest(
  bytes: Uint8Array,
  {
    contentType,
    expected,
    subject = "manifest",
  }: {
    readonly contentType?: string | undefined;
    readonly expected?: Digest | undefined;
    readonly subject?: string;
  } = {},
): Manifest {
  if (bytes.length === 0) throw new TagferryError("MANIFEST_EMPTY", `${subject} is empty`);
  if (bytes.length > MANIFEST_READ_MAX_BYTES)
    throw new TagferryError("MANIFEST_TOO_LARGE", `${subject} has more than 8 MiB`, {
      found: bytes.length,
      allowed: MANIFEST_READ_MAX_BYTES,
    });
  const json = parseStrictJson(bytes, { subject });
  const digest = digestOf(bytes, expected === undefined ? "sha256" : algorithmOf(expected));
  if (expected !== undefined && digest !== expected)
    throw new TagferryError("DIGEST_MISMATCH", `${subject} does not match its digest`, {
      found: digest,
      allowed: expected,
    });
  if (!isObject(json))
    throw new TagferryError("MANIFEST_SHAPE", `${subject} is not an object`, { found: kindOf(json) });
  const document = reader(json, subject);
  const mediaType = mediaTypeOf(json, contentType, document);
  const kind = isIndexType(mediaType) ? "index" : "image";
  const children = kind === "index" ? document.descriptors("manifests", { required: true }) : [];
  const config =
    kind === "image" && mediaType !== OCI_ARTIFACT
      ? document.descriptor("config", { required: true })
      : undefined;
  const layers =
    kind === "index"
      ? []
      : document.descriptors(mediaType === OCI_ARTIFACT ? "blobs" : "layers", {
          required: mediaType !== OCI_ARTIFACT,
        });
  const named = [...(config ? [config] : []), ...layers];
  refuseConflicts([...children, ...named], subject);
  const manifestSubject = document.descriptor("subject", { required: false });
  const artifactType = document.text("artifactType");
  return {
    descriptor: {
      mediaType,
      digest,
      size: bytes.length,
      ...(artifactType === undefined ? {} : { artifactType }),
    },
    bytes,
    kind,
    children,
    blobs: named.filter((blob) => !isForeignLayerType(blob.mediaType)),
    foreign: named.filter((blob) => isForeignLayerType(blob.mediaType)),
    ...(config === undefined ? {} : { config }),
    ...(manifestSubject === undefined ? {} : { subject: manifestSubject }),
    ...(artifactType === undefined ? {} : { artifactType }),
    annotations: document.annotations(),
  };
}

const KNOWN = new Set([OCI_INDEX, OCI_MANIFEST, OCI_ARTIFACT, DOCKER_LIST, DOCKER_MANIFEST]);

/** Header and body must agree. When the header says only "json", the fields of the body decide. */
function mediaTypeOf(json: JsonObject, contentType: string | undefined, { fail, has }: Reader): string {
  const header = contentType?.split(";")[0]?.trim().toLowerCase();
  if (header?.includes(",")) throw fail("MEDIA_TYPE", "has a list as Content-Type", { found: contentType });
  const generic =
    header === undefined ||
    header === "" ||
    ["application/json", "text/plain", "application/octet-stream"].includes(header);
  const body = json["mediaType"];
  if (body !== undefined && typeof body !== "string")
    throw fail("MEDIA_TYPE", "has a mediaType that is not text", { found: kindOf(body) });
  if (isSchema1Type(body ?? "") || isSchema1Type(header ?? "") || has("fsLayers"))
    throw fail("MANIFEST_SCHEMA1", "has the obsolete format schema 1", {
      found: body ?? header ?? DOCKER_SCHEMA1_SIGNED,
    });
  if (has("manifests") && (has("layers") || has("config") || has("blobs")))
    throw fail("MANIFEST_AMBIGUOUS", "is an index and an image at the same time", {
      found: Object.keys(json).join(", "),
    });
  const shape = has("manifests") ? OCI_INDEX : has("layers") || has("config") ? OCI_MANIFEST : undefined;
  if (!generic && body !== undefined && body !== header)
    throw fail("MEDIA_TYPE", "has another media type than its Content-Type", {
      found: body,
      allowed: header,
    });
  const mediaType = body ?? (generic ? shape : header);
  if (mediaType === undefined)
    throw fail("MANIFEST_SHAPE", "has neither layers nor manifests", { found: Object.keys(json).join(", ") });
  if (!KNOWN.has(mediaType))
    throw fail("MEDIA_TYPE", "has a media type that is not one of a manifest", {
      found: mediaType,
      allowed: [...KNOWN].join(", "),
    });
  if (isIndexType(mediaType) ? shape === OCI_MANIFEST : shape === OCI_INDEX)
    throw fail("MEDIA_TYPE", "does not have the fields of its media type", { found: mediaType });
  return mediaType;
}

type JsonObject = { readonly [key: string]: Json };
type Reader = ReturnType<typeof reader>;

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function kindOf(json: Json | undefined): string {
  return json === null ? "null" : Array.isArray(json) ? "a list" : typeof json;
}

function reader(json: JsonObject, subject: string) {
  const fail = (code: ErrorCode, what: string, details: Record<string, unknown> = {}): TagferryError =>
    new TagferryError(code, `${subject} ${what}`, details);
  const has = (key: string): boolean => json[key] !== undefined;

  function descriptors(key: string, { required }: { readonly required: boolean }): Descriptor[] {
    const list = json[key];
    if (list === undefined && !required) return [];
    if (!Array.isArray(list)) throw fail("MANIFEST_SHAPE", `has no list of ${key}`, { found: kindOf(list) });
    if (list.length > FANOUT_MAX)
      throw fail("MANIFEST_FANOUT", `has ${list.length} ${key}`, { found: list.length, allowed: FANOUT_MAX });
    return list.map((item: Json, position) => parseDescriptor(item, `${subject}: ${key}[${position}]`));
  }

  function descriptor(key: string, { required }: { readonly required: boolean }): Descriptor | undefined {
    const value = json[key];
    if (value === undefined && !required) return undefined;
    if (!isObject(value)) throw fail("MANIFEST_SHAPE", `has no ${key}`, { found: kindOf(value) });
    return parseDescriptor(value, `${subject}: ${key}`);
  }

  const text = (key: string): string | undefined => {
    const value = json[key];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  return { fail, has, descriptors, descriptor, text, annotations: () => textMap(json["annotations"]) };
}

/** @throws {TagferryError} MANIFEST_SHAPE, DESCRIPTOR_SIZE, DESCRIPTOR_DIGEST, DESCRIPTOR_DATA */
function parseDescriptor(json: Json, where: string): Descriptor {
  if (!isObject(json))
    throw new TagferryError("MANIFEST_SHAPE", `${where} is not a descriptor`, { found: kindOf(json) });
  const { mediaType, digest, size, data, artifactType, urls } = json;
  if (!isDigest(digest))
    throw new TagferryError("DESCRIPTOR_DIGEST", `${where} has no valid digest`, { found: digest });
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw new TagferryError("DESCRIPTOR_SIZE", `${where} has no valid size`, {
      found:
        typeof size === "number" && Number.isNaN(size)
          ? "not a whole number below 2^53"
          : (size ?? "nothing"),
      allowed: "a whole number of bytes",
    });
  if (typeof mediaType !== "string" || mediaType === "")
    throw new TagferryError("MEDIA_TYPE", `${where} has no media type`, { found: mediaType ?? "nothing" });
  const platform = parsePlatformField(json["platform"]);
  if (typeof data === "string") checkData(data, digest, size, where);
  return {
    mediaType,
    digest,
    size,
    ...(platform === undefined ? {} : { platform }),
    ...(typeof artifactType === "string" ? { artifactType } : {}),
    ...(Array.isArray(urls) ? { urls: urls.filter((url) => typeof url === "string") } : {}),
    ...(isObject(json["annotations"]) ? { annotations: textMap(json["annotations"]) } : {}),
    ...(typeof data === "string" ? { data } : {}),
  };
}

function parsePlatformField(json: Json | undefined): Platform | undefined {
  if (!isObject(json)) return undefined;
  const { os, architecture, variant } = json;
  if (typeof os !== "string" || typeof architecture !== "string" || os === "" || architecture === "")
    return undefined;
  return { os, architecture, ...(typeof variant === "string" && variant !== "" ? { variant } : {}) };
}

function checkData(data: string, digest: Digest, size: number, where: string): void {
  const bytes = Buffer.from(data, "base64");
  if (bytes.length !== size || digestOf(bytes, algorithmOf(digest)) !== digest)
    throw new TagferryError("DESCRIPTOR_DATA", `${where} embeds data that does not match its digest`, {
      found: digestOf(bytes),
      allowed: digest,
    });
}

function refuseConflicts(descriptors: readonly Descriptor[], subject: string): void {
  const sizes = new Map<Digest, number>();
  for (const { digest, size } of descriptors) {
    const other = sizes.get(digest);
    if (other !== undefined && other !== size)
      throw new TagferryError("DESCRIPTOR_CONFLICT", `${subject} names ${digest} with two sizes`, {
        found: `${other} and ${size}`,
      });
    sizes.set(digest, size);
  }
}

function textMap(json: Json | undefined): Record<string, string> {
  if (!isObject(json)) return {};
  return Object.fromEntries(
    Object.entries(json).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/**
 * The child that an index entry belongs to, when the entry is an attestation of BuildKit; undefined for other
 * entries.
 */
export function attestedDigest({ annotations }: Descriptor): Digest | undefined {
  if (annotations?.["vnd.docker.reference.type"] !== "attestation-manifest") return undefined;
  const digest = annotations["vnd.docker.reference.digest"];
  return isDigest(digest) ? digest : undefined;
}
