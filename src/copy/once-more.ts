import { isTagferryError } from "../errors/error.ts";

/**
 * Content that is not what its digest says may have been damaged on the way: it is asked for once more, from its start.
 * A second time it is the source's.
 */
export async function onceMore<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!isTagferryError(error, "DIGEST_MISMATCH", "BLOB_SHORT", "BLOB_LONG")) throw error;
    return task();
  }
}
