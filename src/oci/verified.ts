import type { Hash } from "node:crypto";

import { TagferryError } from "../errors/error.ts";
import type { Descriptor } from "./descriptor.ts";
import { algorithmOf, hashFor } from "./digest.ts";

/** How much of a blob's end is held back until everything is known to be right. */
export const HELD_BACK_BYTES = 64 * 1024;

/** How far a blob is proven: its first `bytes`, all before those that are held back. */
export type Checkpoint = { readonly bytes: number; readonly hash: Hash };

export type VerifiedOptions = {
  /** Goes on from here: `content` is what follows. */
  readonly from?: Checkpoint | undefined;
  /** Told about every `checkpointBytes` or more. */
  readonly onCheckpoint?: (checkpoint: Checkpoint) => void;
  readonly checkpointBytes?: number;
};

/**
 * The bytes of `content`, proven: whoever has read this to its end has read exactly the blob of `descriptor`.
 *
 * The last 64 KiB are given out only after size and digest were found right, so a reader that passes bytes on can never
 * complete a wrong upload. A chunk is valid until the next one is asked for: `content` may use its memory again.
 *
 * @throws {TagferryError} BLOB_SHORT, BLOB_LONG, DIGEST_MISMATCH
 */
export async function* verified(
  content: AsyncIterable<Uint8Array>,
  { digest, size }: Pick<Descriptor, "digest" | "size">,
  { from, onCheckpoint, checkpointBytes = Infinity }: VerifiedOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  // a checkpoint may be gone on from more than once
  const hash = from?.hash.copy() ?? hashFor(digest);
  const passBytes = Math.max(0, size - HELD_BACK_BYTES);
  const held = Buffer.allocUnsafe(size - passBytes);
  let receivedBytes = from?.bytes ?? 0;
  let checkedBytes = receivedBytes;
  for await (const chunk of content) {
    const start = receivedBytes;
    receivedBytes += chunk.length;
    if (receivedBytes > size)
      throw new TagferryError("BLOB_LONG", `${digest} is longer than its ${size} bytes`, {
        found: receivedBytes,
        allowed: size,
      });
    hash.update(chunk);
    if (receivedBytes - checkedBytes >= checkpointBytes && receivedBytes <= passBytes) {
      checkedBytes = receivedBytes;
      onCheckpoint?.({ bytes: receivedBytes, hash: hash.copy() });
    }
    const passed = Math.max(0, Math.min(chunk.length, passBytes - start));
    if (passed < chunk.length) held.set(chunk.subarray(passed), start + passed - passBytes);
    if (passed > 0) yield chunk.subarray(0, passed);
  }
  if (receivedBytes < size)
    throw new TagferryError("BLOB_SHORT", `${digest} ended after ${receivedBytes} of ${size} bytes`, {
      found: receivedBytes,
      allowed: size,
    });
  const found = `${algorithmOf(digest)}:${hash.digest("hex")}`;
  if (found !== digest)
    throw new TagferryError("DIGEST_MISMATCH", `the content does not match ${digest}`, {
      found,
      allowed: digest,
    });
  if (held.length > 0) yield held;
}
