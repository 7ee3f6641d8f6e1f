import type { Hash } from "node:crypto";

import { TagferryError } from "../errors/error.ts";
import type { Descriptor } from "./descriptor.ts";
import { algorithmOf, hashFor } from "./digest.ts";

/** The end of a blob that is held back until size and digest are checked. */
export const HELD_BACK_BYTES = 64 * 1024;

/** The state of the hash after the first `bytes` of a blob. */
export type Checkpoint = { readonly bytes: number; readonly hash: Hash };

export type VerifiedOptions = {
  /** Continues from here: `content` begins after these bytes. */
  readonly from?: Checkpoint | undefined;
  /** Called after every `checkpointBytes` or more. */
  readonly onCheckpoint?: (checkpoint: Checkpoint) => void;
  readonly checkpointBytes?: number;
};

/**
 * Verifies the bytes of `content`. Whoever reads this to its end has read exactly the blob of `descriptor`.
 *
 * The last 64 KiB are yielded only after size and digest were checked. So a reader that sends the bytes on can never
 * complete a wrong upload. A chunk is valid until the next one is requested, because `content` may reuse its memory.
 *
 * @throws {TagferryError} BLOB_SHORT, BLOB_LONG, DIGEST_MISMATCH
 */
export async function* verified(
  content: AsyncIterable<Uint8Array>,
  { digest, size }: Pick<Descriptor, "digest" | "size">,
  { from, onCheckpoint, checkpointBytes = Infinity }: VerifiedOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  // a checkpoint may be used more than once
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
