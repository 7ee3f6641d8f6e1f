import { isTagferryError, type TagferryError } from "../../src/errors/error.ts";

/** The TagferryError that `task` throws; anything else it does fails the test. */
export function thrownBy(task: () => unknown): TagferryError {
  try {
    task();
  } catch (error) {
    if (isTagferryError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
