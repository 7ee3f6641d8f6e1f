import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { type Digest, digestOf } from "../../../src/oci/digest.ts";
import { descriptorOf, oddJson } from "./content.ts";

export type BuiltManifest = {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest;
  /** The artifactType of its descriptor in an index of referrers. */
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly subject?: Digest;
};

/** An image, index or artifact as bytes and digests; nothing in it knows of a server. */
export type BuiltImage = {
  readonly manifest: BuiltManifest;
  /** Config and layers that this manifest itself names, without foreign layers. */
  readonly blobs: ReadonlyMap<Digest, Uint8Array>;
  readonly children: readonly BuiltImage[];
  /** What refers to it; `tag` where it is reached by a tag of its own (cosign). */
  readonly referrers: readonly BuiltReferrer[];
};

export type BuiltReferrer = { readonly image: BuiltImage; readonly tag?: string };

/** A manifest as its author writes it: a plain object in the order of the bytes. */
export type Document = {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly subject?: Descriptor;
  readonly [field: string]: unknown;
};

/** Converts a document to the bytes of a manifest. These bytes are never changed. */
export function sealManifest(
  document: Document,
  { oddWhitespace = false }: { readonly oddWhitespace?: boolean | undefined } = {},
): BuiltManifest {
  const bytes = Buffer.from(oddWhitespace ? oddJson(document) : JSON.stringify(document));
  const config = document["config"] as Descriptor | undefined;
  const artifactType = document.artifactType ?? (document.subject ? config?.mediaType : undefined);
  return {
    bytes,
    mediaType: document.mediaType,
    digest: digestOf(bytes),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(document.annotations === undefined ? {} : { annotations: document.annotations }),
    ...(document.subject === undefined ? {} : { subject: document.subject.digest }),
  };
}

export function manifestDescriptor({ bytes, mediaType }: BuiltManifest): Descriptor {
  return descriptorOf(bytes, mediaType);
}

export function blobMap(...contents: readonly Uint8Array[]): ReadonlyMap<Digest, Uint8Array> {
  return new Map(contents.map((bytes) => [digestOf(bytes), bytes]));
}

/** A manifest that is to be written, under a tag or under its digest. */
export type Written = { readonly manifest: BuiltManifest; readonly tag?: string };
