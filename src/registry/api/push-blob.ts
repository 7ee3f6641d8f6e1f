import { isTagferryError } from "../../errors/error.ts";
import { withRetryBudget } from "../../errors/retry-budget.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { BlobPushed, OpenContent, PushBlobOptions } from "../../oci/store.ts";
import { waitForRetryAfter } from "../http/retry-after.ts";
import { send } from "./upload-content.ts";
import { begin, cancel, hasBlob, type UploadContext } from "./upload-session.ts";

/** How often a blob is sent from its start. */
const SENDINGS_MAX = 3;
/** Progress counts from this size on: fewer bytes may still be in a buffer of this machine. */
const PROGRESS_BYTES = 32 * 1024 * 1024;

/**
 * Brings a blob into a repository. It tries, in this order: the blob is known to be there, a mount, a HEAD, an upload.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs
 */
export async function pushBlob(
  descriptor: Descriptor,
  open: OpenContent,
  context: UploadContext,
  { onBytes, mountFrom, again, ...options }: PushBlobOptions = {},
): Promise<BlobPushed> {
  const { client, blobLocations } = context;
  const { budget, signal } = withRetryBudget(client.retriesMs, options);
  const elsewhere = mountFrom === undefined ? undefined : client.repositoryOf(mountFrom);
  if (elsewhere !== undefined && elsewhere !== client.repository)
    blobLocations.learn(descriptor.digest, elsewhere);
  if (!again && blobLocations.has(descriptor.digest, client.repository)) return { how: "present", bytes: 0 };
  for (let sending = 1; ; sending += 1) {
    const begun = await begin(descriptor, context, { signal, ...(again === undefined ? {} : { again }) });
    if (begun.kind === "placed") {
      blobLocations.learn(descriptor.digest, client.repository);
      return { how: begun.how, bytes: 0 };
    }
    let sentBytes = 0;
    const count = (bytes: number): void => {
      sentBytes += bytes;
      onBytes?.(bytes);
    };
    try {
      await send(begun, descriptor, open, context, { onBytes: count, signal });
      blobLocations.learn(descriptor.digest, client.repository);
      return { how: "pushed", bytes: descriptor.size };
    } catch (error) {
      await cancel(begun.location, client);
      signal?.throwIfAborted();
      const maybeThere = isTagferryError(error, "OUTCOME_UNKNOWN", "TARGET_UNPROVEN");
      if (maybeThere && (await hasBlob(descriptor, client, { signal }))) {
        blobLocations.learn(descriptor.digest, client.repository);
        return { how: "pushed", bytes: descriptor.size };
      }
      if (sentBytes >= PROGRESS_BYTES) budget.renew();
      if (sending >= SENDINGS_MAX || !maySendAgain(error, context) || !budget.allows(error, 0)) throw error;
      if (!(await waitForRetryAfter(error, { signal }))) throw error;
      onBytes?.(-sentBytes);
    }
  }
}

/**
 * Whether a new session from the start may succeed: the session was lost, the connection broke, the registry was busy,
 * the body was too large for one request, or the answer was not 201 and the blob is not there.
 */
function maySendAgain(error: unknown, { client }: UploadContext): boolean {
  if (isTagferryError(error, "TARGET_TOO_LARGE")) return client.observations.bodySize.tooLarge();
  return isTagferryError(
    error,
    "UPLOAD",
    "TARGET_DIGEST",
    "TARGET_UNPROVEN",
    "TARGET_PROJECT",
    "REGISTRY_UNREACHABLE",
    "REGISTRY_UNAVAILABLE",
    "RATE_LIMITED",
    "STALLED",
  );
}
