import { TagferryError } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { type JsonCodes, parseStrictJson } from "../oci/json.ts";
import { OCI_INDEX } from "../oci/media-type.ts";
import { isTag } from "../oci/reference.ts";

/**
 * The annotation that names an entry of index.json. @see
 * https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md
 */
export const REF_NAME = "org.opencontainers.image.ref.name";

/**
 * The content of index.json. Entries and fields that other tools wrote are kept as they are.
 *
 * Immutable: a change creates a new one.
 */
export type LayoutIndex = {
  /** All fields. `manifests` is empty here and only keeps its position. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly entries: readonly Entry[];
};

type Entry = {
  /** Only mediaType, digest, size and artifactType. */
  readonly descriptor: Descriptor;
  /** The value of ref.name: a bare tag, a whole reference (`refName`), or whatever another tool wrote. */
  readonly name?: string;
  /** It has no annotations and no platform. So it can be removed when another manifest lists its manifest. */
  readonly bare: boolean;
  /** The entry as JSON. */
  readonly text: string;
};

export const EMPTY_INDEX: LayoutIndex = {
  fields: { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] },
  entries: [],
};

const INVALID: JsonCodes = {
  syntax: "LAYOUT_INVALID",
  depth: "LAYOUT_INVALID",
  duplicate: "LAYOUT_INVALID",
  encoding: "LAYOUT_INVALID",
};

/** @throws {TagferryError} LAYOUT_INVALID */
export function parseIndex(bytes: Uint8Array, where: string): LayoutIndex {
  parseStrictJson(bytes, { codes: INVALID, subject: where });
  // checked above; parsed again here, because the strict reader replaces unsafe numbers by NaN
  const document: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
  if (!isRecord(document) || !Array.isArray(document["manifests"]))
    throw new TagferryError("LAYOUT_INVALID", `${where} has no list of manifests`, { where });
  const { schemaVersion } = document;
  if (schemaVersion !== 2)
    throw new TagferryError("LAYOUT_INVALID", `${where} has schemaVersion ${String(schemaVersion)}`, {
      where,
      found: schemaVersion,
      allowed: 2,
    });
  const entries = document["manifests"].map((entry: unknown, position) =>
    parseEntry(entry, `${where}: manifests[${position}]`),
  );
  return { fields: { ...document, manifests: [] }, entries };
}

function parseEntry(entry: unknown, where: string): Entry {
  const bad = (what: string, found: unknown): TagferryError =>
    new TagferryError("LAYOUT_INVALID", `${where} has no valid ${what}`, { where, found });
  if (!isRecord(entry)) throw bad("descriptor", typeof entry);
  const { mediaType, digest, size, artifactType, annotations } = entry;
  if (typeof mediaType !== "string" || mediaType === "") throw bad("mediaType", mediaType);
  if (!isDigest(digest)) throw bad("digest", digest);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw bad("size", size);
  const name = isRecord(annotations) ? annotations[REF_NAME] : undefined;
  return {
    descriptor: { mediaType, digest, size, ...(typeof artifactType === "string" ? { artifactType } : {}) },
    ...(typeof name === "string" && name !== "" ? { name } : {}),
    bare: annotations === undefined && entry["platform"] === undefined,
    text: JSON.stringify(entry),
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function formatIndex({ fields, entries }: LayoutIndex): string {
  const manifests = entries.map(({ text }) => text).join(",");
  const texts = Object.entries(fields).map(([key, value]) =>
    key === "manifests" ? `"manifests":[${manifests}]` : `${JSON.stringify(key)}:${JSON.stringify(value)}`,
  );
  return `{${texts.join(",")}}`;
}

/** The name of a tag in index.json: the bare tag, or the whole reference for a tag of a `registry/repository`. */
export function refName(tag: string, repository: string | undefined): string {
  return repository === undefined ? tag : `${repository}:${tag}`;
}

/** The inverse of `refName`: the tag in a name; undefined when the name is not a bare tag or not of this repository. */
export function tagInName(name: string, repository: string | undefined): string | undefined {
  const prefix = repository === undefined ? "" : `${repository}:`;
  const tag = name.slice(prefix.length);
  return name.startsWith(prefix) && isTag(tag) ? tag : undefined;
}

/**
 * The image with this name; undefined when there is none.
 *
 * @throws {TagferryError} LAYOUT_INVALID when two images have the name, because readers would see different images
 */
export function findName({ entries }: LayoutIndex, name: string): Descriptor | undefined {
  const found = entries.filter((entry) => entry.name === name).map(({ descriptor }) => descriptor);
  const digests = new Set(found.map(({ digest }) => digest));
  if (digests.size > 1)
    throw new TagferryError("LAYOUT_INVALID", `index.json names several images ${name}`, {
      found: [...digests].join(", "),
      next: "Write the tag again, or remove all but one of the entries.",
    });
  return found[0];
}

export function findDigest({ entries }: LayoutIndex, digest: Digest): Descriptor | undefined {
  return entries.find(({ descriptor }) => descriptor.digest === digest)?.descriptor;
}

/** Gives `name` (from `refName`) to this image and to no other. When the tag moves, its entry keeps its position. */
export function withName(index: LayoutIndex, name: string, descriptor: Descriptor): LayoutIndex {
  const same = index.entries.filter((entry) => entry.name === name);
  if (same.length === 1 && same[0]?.descriptor.digest === descriptor.digest) return index;
  const entry = named(name, descriptor);
  const [first] = same;
  const entries = index.entries.flatMap((other) => {
    if (other === first) return [entry];
    const replaced = other.name === name || (other.bare && other.descriptor.digest === descriptor.digest);
    return replaced ? [] : [other];
  });
  return { ...index, entries: first ? entries : [...entries, entry] };
}

/** Adds entries without a name, for manifests that no other manifest lists. */
export function withUnnamed(index: LayoutIndex, descriptors: readonly Descriptor[]): LayoutIndex {
  const added = descriptors.filter(({ digest }) => findDigest(index, digest) === undefined);
  return added.length === 0 ? index : { ...index, entries: [...index.entries, ...added.map(unnamed)] };
}

/** Removes unnamed entries of manifests that another manifest lists now. */
export function withoutUnnamed(index: LayoutIndex, digests: ReadonlySet<Digest>): LayoutIndex {
  const entries = index.entries.filter(({ bare, descriptor }) => !bare || !digests.has(descriptor.digest));
  return entries.length === index.entries.length ? index : { ...index, entries };
}

function named(name: string, descriptor: Descriptor): Entry {
  const essence = essenceOf(descriptor);
  const text = JSON.stringify({ ...essence, annotations: { [REF_NAME]: name } });
  return { descriptor: essence, name, bare: false, text };
}

function unnamed(descriptor: Descriptor): Entry {
  const essence = essenceOf(descriptor);
  return { descriptor: essence, bare: true, text: JSON.stringify(essence) };
}

function essenceOf({ mediaType, digest, size, artifactType }: Descriptor): Descriptor {
  return { mediaType, digest, size, ...(artifactType === undefined ? {} : { artifactType }) };
}
