import { isSyncError, type SyncError } from "../../src/lib/error.ts";

/** The SyncError that `task` throws; anything else it does fails the test. */
export function thrownBy(task: () => unknown): SyncError {
  try {
    task();
  } catch (error) {
    if (isSyncError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
