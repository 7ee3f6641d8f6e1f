import { createCipheriv, createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";

import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { type Digest, digestOf } from "../../../src/oci/digest.ts";

/** Bytes that do not compress. The same seed always gives the same bytes. */
export function seededBytes(seed: string, size: number): Uint8Array {
  const key = createHash("sha256").update(seed).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

export type Compression = "gzip" | "zstd" | "none";

export type Layer = {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  /** The digest of the tar inside, as configs list it. */
  readonly diffId: Digest;
  /** Of a foreign layer: named by the manifest, but never part of the image's blobs. */
  readonly urls?: readonly string[];
};

const LAYER_TYPES: Readonly<Record<Compression, string>> = {
  gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  none: "application/vnd.oci.image.layer.v1.tar",
};

export type LayerOptions = {
  /** Size of the one file in it. The blob is a little larger. */
  readonly sizeBytes?: number;
  readonly compression?: Compression;
  /** Docker's media type; always gzip. */
  readonly docker?: boolean;
};

/** A layer that unpacks: a tar with one file. The same seed and size give the same layer, so images share it. */
export function buildLayer(
  seed: string,
  { sizeBytes = 1_000, compression = "gzip", docker = false }: LayerOptions = {},
): Layer {
  const tar = tarOf(`srv/${seed.replaceAll(/[^a-z0-9.-]/gi, "-")}.bin`, seededBytes(seed, sizeBytes));
  const diffId = digestOf(tar);
  if (docker)
    return {
      bytes: gzipSync(tar, { level: 1 }),
      mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
      diffId,
    };
  return { bytes: compress(tar, compression), mediaType: LAYER_TYPES[compression], diffId };
}

/** A layer that lives elsewhere by licence, as Windows base layers do. */
export function buildForeignLayer(
  seed: string,
  { docker = false }: { readonly docker?: boolean } = {},
): Layer {
  return {
    ...buildLayer(seed),
    mediaType: docker
      ? "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
      : "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    urls: [`https://layers.example/${seed}`],
  };
}

/** An empty layer: valid, but many clients fail with this blob. */
export function buildEmptyLayer(): Layer {
  const bytes = new Uint8Array();
  return { bytes, mediaType: LAYER_TYPES.none, diffId: digestOf(bytes) };
}

function compress(tar: Uint8Array, compression: Compression): Uint8Array {
  switch (compression) {
    case "gzip":
      return gzipSync(tar, { level: 1 });
    case "zstd":
      return zstdCompressSync(tar);
    case "none":
      return tar;
  }
}

/** A tar (ustar) of one file, the same bytes every time. */
export function tarOf(name: string, content: Uint8Array): Uint8Array {
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number): void => {
    header.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  };
  header.write(name.slice(0, 100), 0, "latin1");
  octal(0o644, 100, 8); // mode
  octal(0, 108, 8); // uid
  octal(0, 116, 8); // gid
  octal(content.length, 124, 12);
  octal(0, 136, 12); // mtime
  header.fill(" ", 148, 156); // the checksum counts as blanks
  header.write("0", 156, "latin1"); // a file
  header.write("ustar\u000000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)]);
}

export function descriptorOf(bytes: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

/**
 * JSON in a form that no serializer writes: keys in reverse order, tabs, carriage returns, needless escapes, and a
 * newline at the end. A client that parses and writes it again changes its digest.
 */
export function oddJson(value: unknown): string {
  return `${odd(value, "\t")}\n`;
}

function odd(value: unknown, indent: string): string {
  if (typeof value === "string") return oddText(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) {
    const items = value.map((item) => `${indent}${odd(item, `${indent} `)}`);
    return items.length === 0 ? "[ ]" : `[\r\n${items.join(" ,\n")} ]`;
  }
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .toReversed()
    .map(([key, item]) => `${indent}${JSON.stringify(key)} :  ${odd(item, `${indent} `)}`);
  return entries.length === 0 ? "{\n}" : `{\n${entries.join("\n,\n")}\n${indent}}`;
}

function oddText(text: string): string {
  return JSON.stringify(text)
    .replaceAll("/", String.raw`\/`)
    .replaceAll(/[^\u0020-\u007e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .replaceAll("+", String.raw`\u002b`);
}
