import type { Descriptor } from "../../src/oci/descriptor.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { type Manifest, parseManifest } from "../../src/oci/manifest.ts";
import type { Content, ImageTarget } from "../../src/oci/store.ts";
import type { BuiltImage, BuiltManifest } from "./images/manifest.ts";

export const OCTETS = "application/octet-stream";

/** Writes an image by the port alone, as a copy does: blobs, children, the image under its tag, referrers. */
export async function pushBuilt(target: ImageTarget, image: BuiltImage, tag?: string): Promise<void> {
  for (const [digest, bytes] of image.blobs)
    await target.pushBlob({ mediaType: OCTETS, digest, size: bytes.length }, () => reusing(bytes));
  for (const child of image.children) await pushBuilt(target, child);
  await target.pushManifest(parsed(image.manifest), tag === undefined ? {} : { tag });
  for (const referrer of image.referrers) await pushBuilt(target, referrer.image, referrer.tag);
}

export function parsed({ bytes, mediaType, digest }: BuiltManifest): Manifest {
  return parseManifest(bytes, { contentType: mediaType, expected: digest });
}

export function describing(bytes: Uint8Array): Descriptor {
  return { mediaType: OCTETS, digest: digestOf(bytes), size: bytes.length };
}

/**
 * Yields one buffer again and again, and overwrites it in between. A consumer that keeps a chunk finds other bytes in
 * it.
 */
export async function* reusing(
  bytes: Uint8Array,
  chunkBytes = 50_000,
): AsyncGenerator<Uint8Array, void, void> {
  const buffer = Buffer.alloc(chunkBytes);
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const part = bytes.subarray(at, at + chunkBytes);
    buffer.set(part);
    yield buffer.subarray(0, part.length);
    buffer.fill(0xee);
  }
}

export async function readAll(content: Content): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
