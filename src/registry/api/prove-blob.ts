import { isTagferryError } from "../../errors/error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { HasBlobOptions } from "../../oci/store.ts";
import { verified } from "../../oci/verified.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { type BlobTimeouts, readBlob } from "./read-blob.ts";
import { hasBlob } from "./upload-session.ts";

/** Whether a blob with the right length is in the repository. With `bytes`, its content is read and checked too. */
export async function hasWholeBlob(
  descriptor: Descriptor,
  client: RepositoryClient,
  timeouts: BlobTimeouts,
  { bytes = false, signal }: HasBlobOptions = {},
): Promise<boolean> {
  if (!(await hasBlob(descriptor, client, { signal }))) return false;
  if (!bytes) return true;
  try {
    const content = verified(readBlob(descriptor, client, timeouts, { signal }), descriptor);
    while (!(await content.next()).done);
    return true;
  } catch (error) {
    if (isTagferryError(error, "BLOB_UNKNOWN", "BLOB_SHORT", "BLOB_LONG", "DIGEST_MISMATCH")) return false;
    throw error;
  }
}
