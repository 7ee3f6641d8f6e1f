import { openSemaphore, type Semaphore } from "../lib/semaphore.ts";

/** The memory that the copies of one process share. The places of both semaphores are bytes. */
export type CopyMemory = {
  /** For blobs that are being read and sent. */
  readonly blobs: Semaphore;
  /** For manifests that wait to be pushed. */
  readonly manifests: Semaphore;
};

/** Sixteen large blobs at once. Small blobs need less, so more of them are sent at once. */
const BLOBS_BYTES = 48 * 1024 * 1024;
/** Manifests without room are read from the source again. */
const MANIFESTS_BYTES = 16 * 1024 * 1024;
/**
 * What one blob of any size needs at most: six buffers of 512 KiB, between its source and its target. A registry as
 * source needs up to five (`registry/transport/ring.ts`), a layout two (`layout/blobs.ts`).
 */
const BLOB_MAX_BYTES = 3 * 1024 * 1024;

export function openCopyMemory({
  blobsBytes = BLOBS_BYTES,
  manifestsBytes = MANIFESTS_BYTES,
}: { readonly blobsBytes?: number; readonly manifestsBytes?: number } = {}): CopyMemory {
  return { blobs: openSemaphore(blobsBytes), manifests: openSemaphore(manifestsBytes) };
}

/** The memory that is reserved for a blob while it is copied. */
export function memoryOfBlob(sizeBytes: number): number {
  return Math.min(sizeBytes, BLOB_MAX_BYTES);
}
