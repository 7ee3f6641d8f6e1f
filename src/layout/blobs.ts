import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import { onDisk } from "../errors/disk.ts";
import { isTagferryError, TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { algorithmOf, type Digest, encodedOf } from "../oci/digest.ts";
import { MANIFEST_READ_MAX_BYTES } from "../oci/manifest.ts";
import type { ReadBlobOptions, Content } from "../oci/store.ts";
import { verified } from "../oci/verified.ts";
import { makeDirectoryInside, openInside, readInside, syncDirectory, writeAll } from "./files.ts";
import { untilAborted } from "./until-aborted.ts";

const CHUNK_BYTES = 512 * 1024;

type Sized = Pick<Descriptor, "digest" | "size">;

/** The files below `blobs/`. The name of each file is its digest. */
export type Blobs = {
  /** Whether a file of this size is there. Its bytes were verified before the file got its name. */
  has(blob: Sized): Promise<boolean>;
  /** Whether the file is there and its bytes are right. Reads the whole file. */
  isWhole(blob: Sized, options?: Cancellable): Promise<boolean>;
  /** @throws {TagferryError} BLOB_UNKNOWN, LAYOUT_INVALID, DISK */
  read(digest: Digest, options?: ReadBlobOptions): Content;
  /** Reads a whole file; undefined when it is not there, `"large"` when it is larger than a manifest can be. */
  readManifest(digest: Digest): Promise<Uint8Array | "large" | undefined>;
  /** @throws {TagferryError} the errors of `verified` and `content`, DISK_FULL, DISK; then no file remains */
  write(blob: Sized, content: Content, options: WriteOptions): Promise<void>;
  /** Writes the directory entries of new blobs to the disk. */
  settle(): Promise<void>;
};

type WriteOptions = Cancellable & {
  readonly temporary: string;
  readonly onBytes?: ((bytes: number) => void) | undefined;
};

export function openBlobs(root: string): Blobs {
  const made = new Map<string, Promise<string>>();
  const unsettled = new Set<string>();

  /** The directory of an algorithm. It is created if it does not exist. */
  function directoryOf(digest: Digest): Promise<string> {
    const path = join(root, "blobs", algorithmOf(digest));
    const known = made.get(path);
    if (known) return known;
    const making = onDisk(path, async () => {
      await makeDirectoryInside(root, "blobs", algorithmOf(digest));
      await syncDirectory(join(root, "blobs"));
      return path;
    });
    made.set(path, making);
    making.catch(() => made.delete(path));
    return making;
  }

  return {
    async has({ digest, size }) {
      const file = await openInside(root, pathOf(root, digest));
      if (!file) return false;
      try {
        return (await file.stat()).size === size;
      } finally {
        await file.close();
      }
    },
    async isWhole(blob, options) {
      try {
        const content = verified(readBlob(root, blob.digest, options), blob);
        while (!(await content.next()).done);
        return true;
      } catch (error) {
        if (isTagferryError(error, "BLOB_UNKNOWN", "BLOB_SHORT", "BLOB_LONG", "DIGEST_MISMATCH"))
          return false;
        throw error;
      }
    },
    read: (digest, options) => readBlob(root, digest, options),
    readManifest: (digest) => readInside(root, pathOf(root, digest), { maxBytes: MANIFEST_READ_MAX_BYTES }),
    async write(blob, content, options) {
      const directory = await directoryOf(blob.digest);
      await writeBlob(join(directory, encodedOf(blob.digest)), blob, content, options);
      unsettled.add(directory);
    },
    async settle() {
      const directories = [...unsettled];
      unsettled.clear();
      try {
        for (const directory of directories) await onDisk(directory, () => syncDirectory(directory));
      } catch (error) {
        for (const directory of directories) unsettled.add(directory);
        throw error;
      }
    },
  };
}

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#blobs */
function pathOf(root: string, digest: Digest): string {
  return join(root, "blobs", algorithmOf(digest), encodedOf(digest));
}

/** Writes a temporary file, then renames it. So the file with the digest as name is always complete. */
async function writeBlob(
  path: string,
  blob: Sized,
  content: Content,
  { temporary, onBytes, signal }: WriteOptions,
): Promise<void> {
  try {
    const file = await onDisk(temporary, () => open(temporary, "wx"));
    try {
      for await (const chunk of verified(untilAborted(content, signal), blob)) {
        // the memory of the chunk is reused when the next chunk is requested
        await onDisk(temporary, () => writeAll(file, chunk));
        onBytes?.(chunk.length);
      }
      await onDisk(temporary, () => file.datasync());
    } finally {
      await file.close();
    }
    signal?.throwIfAborted();
    await onDisk(path, () => rename(temporary, path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Uses two buffers in turn: while the caller uses one, the other is filled. */
async function* readBlob(
  root: string,
  digest: Digest,
  { fromBytes = 0, signal }: ReadBlobOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  signal?.throwIfAborted();
  const path = pathOf(root, digest);
  const file = await openInside(root, path);
  if (!file) throw new TagferryError("BLOB_UNKNOWN", `${digest} is not in the layout`, { where: path });
  try {
    const { size } = await onDisk(path, () => file.stat());
    let ahead = Buffer.allocUnsafeSlow(Math.max(1, Math.min(size, CHUNK_BYTES)));
    let shown = Buffer.allocUnsafeSlow(size > CHUNK_BYTES ? CHUNK_BYTES : 1);
    let at = fromBytes;
    const readAhead = (): Promise<{ bytesRead: number }> => file.read(ahead, 0, ahead.length, at);
    let reading = readAhead();
    for (;;) {
      const pending = reading;
      const { bytesRead } = await onDisk(path, () => pending);
      if (bytesRead === 0) return;
      at += bytesRead;
      [ahead, shown] = [shown, ahead];
      reading = readAhead();
      reading.catch(() => {}); // handled by the next iteration, if there is one
      yield shown.subarray(0, bytesRead);
      signal?.throwIfAborted();
    }
  } finally {
    await file.close();
  }
}
