import { isTagferryError, TagferryError } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Lease } from "../oci/lease.ts";
import type {
  BlobPushed,
  Content,
  ImageSource,
  ImageTarget,
  OpenContent,
  ReadBlobOptions,
} from "../oci/store.ts";
import type { Events } from "./events.ts";
import { type CopyMemory, memoryOfBlob } from "./memory.ts";
import { onceMore } from "./once-more.ts";

export type BlobOptions = {
  readonly source: ImageSource;
  readonly target: ImageTarget;
  readonly lease: Lease;
  readonly events: Events;
  readonly signal: AbortSignal;
  readonly memory: CopyMemory;
  /** Whether to mount the blob from the repository where another process pushed it. */
  readonly trust: boolean;
  /** Blobs that are sent although the target seems to have them. */
  readonly again?: ReadonlySet<Digest> | undefined;
};

/**
 * Copies one blob to the target, under a lease. When several workers need the blob, one uploads it, and the others
 * find or mount it.
 *
 * The target verifies the bytes before it closes the upload, so they are not hashed here too. Wrong bytes are read
 * once more, by a new request. If they are wrong again, the source is at fault.
 *
 * @throws {TagferryError} SOURCE_BROKEN, DIGEST_MISMATCH, BLOB_SHORT, BLOB_LONG, TARGET_*
 */
export async function copyBlob(
  descriptor: Descriptor,
  image: Digest,
  { source, target, lease, events, signal, memory, trust, again }: BlobOptions,
): Promise<BlobPushed> {
  const { digest } = descriptor;
  using held = await lease.acquire(`${target.blobStore}/${digest}`, { signal });
  // after the lease: who waits for another worker's upload needs no memory
  using room = await memory.blobs.acquire({ places: memoryOfBlob(descriptor.size), signal });
  let reportedBytes = 0;
  const onBytes = (bytes: number): void => {
    reportedBytes += bytes;
    events.bytes(digest, bytes);
  };
  try {
    // within one registry a blob is mounted, from where another worker pushed it or from the source itself
    const mountFrom = (trust ? held.pushedTo : undefined) ?? source.name;
    const pushed = await onceMore(() => {
      if (reportedBytes !== 0) onBytes(-reportedBytes);
      const content: OpenContent = (fromBytes) => contentOf(descriptor, source, { fromBytes, signal });
      const isLost = again?.has(digest) ?? false;
      return target.pushBlob(descriptor, content, { signal, onBytes, mountFrom, again: isLost });
    });
    held.setPushedTo(target.name);
    return pushed;
  } catch (error) {
    throw blobFailure(error, { source, digest, image });
  }
}

/** A small blob may be embedded in the manifest. Then it was verified when the manifest was read. */
function contentOf(descriptor: Descriptor, source: ImageSource, options: ReadBlobOptions): Content {
  const { data } = descriptor;
  return data === undefined ? source.blob(descriptor, options) : embedded(data, options);
}

async function* embedded(data: string, { fromBytes }: ReadBlobOptions): Content {
  const bytes = Buffer.from(data, "base64").subarray(fromBytes);
  if (bytes.length > 0) yield bytes;
}

/** Adds the source to errors of its content. Returns all other errors unchanged. */
export function blobFailure(
  error: unknown,
  {
    source,
    digest,
    image,
  }: { readonly source: ImageSource; readonly digest: Digest; readonly image: Digest },
): unknown {
  const where = `${source.name}@${image}`;
  if (isTagferryError(error, "BLOB_UNKNOWN"))
    return new TagferryError("SOURCE_BROKEN", `${source.name} does not have the blob ${digest}`, {
      cause: error,
      where,
      found: `no ${digest}`,
    });
  if (isTagferryError(error, "DIGEST_MISMATCH", "BLOB_SHORT", "BLOB_LONG"))
    return new TagferryError(error.code, `${source.name}: ${error.message}`, {
      cause: error,
      where,
      ...error.details,
    });
  return error;
}
