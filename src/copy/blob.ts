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
import { onceMore } from "./once-more.ts";

export type BlobOptions = {
  readonly source: ImageSource;
  readonly target: ImageTarget;
  readonly lease: Lease;
  readonly events: Events;
  readonly signal: AbortSignal;
  /** Whether to believe where others say they put it. */
  readonly trust: boolean;
};

/**
 * Puts one blob in place, while nobody else sends it to the same blob store: who waited finds it there, or mounts it.
 *
 * The target verifies what it is given before it closes the upload (it promises so), so nothing is hashed here a second
 * time. Wrong bytes are fetched once more, from a new request; then they are the source's.
 *
 * @throws {TagferryError} SOURCE_BROKEN, DIGEST_MISMATCH, BLOB_SHORT, BLOB_LONG, TARGET_*
 */
export async function pushBlob(
  descriptor: Descriptor,
  image: Digest,
  { source, target, lease, events, signal, trust }: BlobOptions,
): Promise<BlobPushed> {
  const { digest } = descriptor;
  using held = await lease.acquire(`${target.blobStore}/${digest}`, { signal });
  let told = 0;
  const onBytes = (bytes: number): void => {
    told += bytes;
    events.bytes(digest, bytes);
  };
  try {
    const pushedTo = trust ? held.pushedTo : undefined;
    const pushed = await onceMore(() => {
      if (told !== 0) onBytes(-told);
      const content: OpenContent = (fromBytes) => contentOf(descriptor, source, { fromBytes, signal });
      return target.pushBlob(descriptor, content, { signal, onBytes, pushedTo });
    });
    held.setPushedTo(target.name);
    return pushed;
  } catch (error) {
    throw blobFailure(error, { source, digest, image });
  }
}

/** Small blobs may stand in the manifest itself, verified when it was read. */
function contentOf(descriptor: Descriptor, source: ImageSource, options: ReadBlobOptions): Content {
  const { data } = descriptor;
  return data === undefined ? source.blob(descriptor, options) : embedded(data, options);
}

async function* embedded(data: string, { fromBytes }: ReadBlobOptions): Content {
  const bytes = Buffer.from(data, "base64").subarray(fromBytes);
  if (bytes.length > 0) yield bytes;
}

/** Says where the content came from that is missing or wrong; other failures stay as they are. */
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
    return new TagferryError("SOURCE_BROKEN", `${source.name} lacks the blob ${digest}`, {
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
