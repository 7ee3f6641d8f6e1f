import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";

import { onDisk } from "../errors/disk.ts";
import { isTagferryError, TagferryError } from "../errors/error.ts";
import { sleep } from "../lib/cancel.ts";
import { openKeyedMutex } from "../lib/semaphore.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import { type Manifest, MANIFEST_WRITE_MAX_BYTES } from "../oci/manifest.ts";
import { parseTag } from "../oci/reference.ts";
import type {
  BlobPushed,
  ImageTarget,
  OpenContent,
  PushBlobOptions,
  PushManifestOptions,
} from "../oci/store.ts";
import { ifThere, makeDirectoryInside, replaceFile } from "./files.ts";
import { type LayoutIndex, refName, withName, withoutUnnamed, withUnnamed } from "./index-file.ts";
import type { ManifestLinks } from "./links.ts";
import { takeLock, type WriteLock } from "./lock.ts";
import type { Files } from "./reader.ts";

/** Marks a directory as a layout. */
export const LAYOUT_FILE = "oci-layout";
export const LAYOUT_VERSION = "1.0.0";

export type Writer = Pick<ImageTarget, "pushBlob" | "forget"> &
  AsyncDisposable & { pushManifest(manifest: Manifest, options?: WriteManifestOptions): Promise<void> };

/** `repository`: the tag is one of this repository (`registry/repository`), not a bare one. */
type WriteManifestOptions = PushManifestOptions & { readonly repository?: string | undefined };

/** How several processes write one layout in turns. */
export type LayoutTurns = {
  /** The lock is given back after this time without writes. */
  readonly idleMs: number;
  /** How long to wait for the lock of another process. */
  readonly patienceMs: number;
};

/** One process writes: it holds the lock from its first write until it closes the layout. */
export const NO_TURNS: LayoutTurns = { idleMs: Infinity, patienceMs: 0 };
/** The pause between two requests for a lock that another process holds. */
const LOOK_AGAIN_MS = 50;

export function openWriter(
  files: Files,
  readLinks: () => Promise<ManifestLinks>,
  { idleMs, patienceMs }: LayoutTurns,
): Writer {
  const { name, index, blobs } = files;
  const mutex = openKeyedMutex();
  const doubted = new Set<Digest>();
  /** Manifests that were written by digest, and that no tag or index names so far. */
  const loose = new Map<Digest, Descriptor>();
  let lock: Promise<WriteLock> | undefined;
  let writers = 0;
  let idle: NodeJS.Timeout | undefined;
  let releasing: Promise<void> | undefined;

  /** Takes the lock once. After a failure, the next call tries again. */
  async function locked(): Promise<WriteLock> {
    await releasing;
    lock ??= patiently(() => prepare(files), patienceMs).catch((error: unknown) => {
      lock = undefined;
      throw error;
    });
    return lock;
  }

  /** Keeps the lock while a task writes. */
  async function writing<T>(task: () => Promise<T>): Promise<T> {
    writers += 1;
    clearTimeout(idle);
    try {
      return await task();
    } finally {
      writers -= 1;
      if (writers === 0 && Number.isFinite(idleMs)) idle = setTimeout(giveBack, idleMs).unref();
    }
  }

  /** When listing fails, the manifests stay in `loose`. Closing the layout tries again and throws the error. */
  function giveBack(): void {
    releasing ??= release()
      .catch(() => {})
      .finally(() => {
        releasing = undefined;
      });
  }

  async function release(): Promise<void> {
    if (!lock) return;
    await using held = await lock;
    try {
      await listLoose(held);
    } finally {
      lock = undefined;
    }
  }

  async function change(edit: (index: LayoutIndex) => LayoutIndex, held: WriteLock): Promise<void> {
    await index.change(edit, { temporary: () => held.temporary(), settle: () => blobs.settle() });
  }

  /** Writes the file of a manifest. Manifests are small, so an existing file is compared byte by byte. */
  async function writeManifest({ descriptor, bytes }: Manifest): Promise<void> {
    const held = await locked();
    using lease = await mutex.acquire(descriptor.digest);
    const there = await blobs.readManifest(descriptor.digest);
    if (there instanceof Uint8Array && Buffer.compare(there, bytes) === 0) return;
    await blobs.write(descriptor, once(bytes), { temporary: held.temporary() });
  }

  /** Adds entries for manifests that nothing names, so that other tools find them. */
  async function listLoose(held: WriteLock): Promise<void> {
    if (loose.size === 0) return;
    const { listed } = await readLinks();
    const roots = [...loose.values()].filter(({ digest }) => !listed.has(digest));
    await change((before) => withUnnamed(before, roots), held);
    loose.clear();
  }

  async function storeBlob(
    descriptor: Descriptor,
    open: OpenContent,
    { signal, onBytes, again = false }: PushBlobOptions,
  ): Promise<BlobPushed> {
    const { digest, size } = descriptor;
    using lease = await mutex.acquire(digest, { signal });
    const doubt = again || doubted.has(digest);
    if (doubt ? await blobs.isWhole(descriptor, { signal }) : await blobs.has(descriptor)) {
      doubted.delete(digest);
      return { how: "present", bytes: 0 };
    }
    const held = await locked();
    await blobs.write(descriptor, open(0), { temporary: held.temporary(), onBytes, signal });
    doubted.delete(digest);
    return { how: "pushed", bytes: size };
  }

  async function storeManifest(
    manifest: Manifest,
    { tag, repository, signal }: WriteManifestOptions,
  ): Promise<void> {
    signal?.throwIfAborted();
    if (tag !== undefined) parseTag(tag);
    refuseWrong(manifest, name);
    await refuseIncomplete(manifest, files);
    await writeManifest(manifest);
    const { descriptor, children, subject } = manifest;
    const below = new Set(children.map(({ digest }) => digest));
    for (const digest of below) loose.delete(digest);
    if (tag !== undefined) {
      const named = refName(tag, repository);
      await change((before) => withoutUnnamed(withName(before, named, descriptor), below), await locked());
      loose.delete(descriptor.digest);
    } else if (subject)
      await change((before) => withUnnamed(withoutUnnamed(before, below), [descriptor]), await locked());
    else loose.set(descriptor.digest, descriptor);
  }

  return {
    pushBlob: (descriptor, open, options = {}) => writing(() => storeBlob(descriptor, open, options)),
    pushManifest: (manifest, options = {}) => writing(() => storeManifest(manifest, options)),
    forget(digests) {
      for (const digest of digests) doubted.add(digest);
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(idle);
      await releasing;
      try {
        if (loose.size > 0) await locked();
        await release();
      } finally {
        loose.clear();
      }
    },
  };
}

async function patiently<T>(task: () => Promise<T>, patienceMs: number): Promise<T> {
  const untilMs = performance.now() + patienceMs;
  for (;;)
    try {
      return await task();
    } catch (error) {
      if (!isTagferryError(error, "LAYOUT_LOCKED") || performance.now() >= untilMs) throw error;
      await sleep(LOOK_AGAIN_MS);
    }
}

/** Takes the lock, and creates the layout if the directory is not one yet. */
async function prepare({ directory, index }: Files): Promise<WriteLock> {
  await onDisk(directory, () => mkdir(directory, { recursive: true }));
  await onDisk(directory, () => makeDirectoryInside(directory, "blobs"));
  await using stack = new AsyncDisposableStack();
  const lock = stack.use(await takeLock(directory));
  const path = join(directory, LAYOUT_FILE);
  const there = await onDisk(path, () => ifThere(() => stat(path)));
  if (!there)
    await replaceFile(
      path,
      Buffer.from(JSON.stringify({ imageLayoutVersion: LAYOUT_VERSION })),
      lock.temporary(),
    );
  // a layout has an index from the beginning
  await index.change((before) => before, { temporary: () => lock.temporary(), settle: async () => {} });
  stack.move();
  return lock;
}

/** @throws {TagferryError} MANIFEST_TOO_LARGE, DIGEST_MISMATCH */
function refuseWrong({ bytes, descriptor: { digest } }: Manifest, name: string): void {
  if (bytes.length > MANIFEST_WRITE_MAX_BYTES)
    throw new TagferryError("MANIFEST_TOO_LARGE", `${name}@${digest} has more than 4 MiB`, {
      found: bytes.length,
      allowed: MANIFEST_WRITE_MAX_BYTES,
    });
  const found = digestOf(bytes, algorithmOf(digest));
  if (found !== digest)
    throw new TagferryError("DIGEST_MISMATCH", `the content of ${name}@${digest} does not match its digest`, {
      found,
      allowed: digest,
    });
}

/** Refuses a manifest whose blobs are missing, as registries do. Children may be missing (a sparse index). */
async function refuseIncomplete(
  { blobs: named, descriptor }: Manifest,
  { blobs, name }: Files,
): Promise<void> {
  const missing: Digest[] = [];
  for (const blob of named) if (!(await blobs.has(blob))) missing.push(blob.digest);
  if (missing.length > 0)
    throw new TagferryError(
      "TARGET_BLOB_UNKNOWN",
      `${name} does not have everything that ${descriptor.digest} names`,
      {
        where: name,
        missing,
      },
    );
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}
