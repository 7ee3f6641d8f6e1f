import { isTagferryError } from "../errors/error.ts";

/**
 * Runs a task again when its content does not match the digest: the content may have been damaged on the way. When it
 * happens twice, the source is at fault, and the error is thrown.
 */
export async function onceMore<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!isTagferryError(error, "DIGEST_MISMATCH", "BLOB_SHORT", "BLOB_LONG")) throw error;
    return task();
  }
}
