import { statfs } from "node:fs/promises";
import { dirname } from "node:path";

import { TagferryError } from "./error.ts";

/**
 * Runs a task that uses the disk. Its system errors become TagferryErrors with the path.
 *
 * @throws {TagferryError} DISK_FULL, DISK
 */
export async function onDisk<T>(path: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === undefined) throw cause;
    if (code !== "ENOSPC" && code !== "EDQUOT")
      throw new TagferryError("DISK", `${path}: ${code}`, { cause, where: path, found: code });
    throw new TagferryError("DISK_FULL", `no space left for ${path}`, {
      cause,
      where: path,
      found: await freeBytes(path),
    });
  }
}

/** The code of a failed system call; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "syscall" in error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

async function freeBytes(path: string): Promise<string> {
  try {
    const { bavail, bsize } = await statfs(dirname(path));
    return `${bavail * bsize} bytes free`;
  } catch {
    return "unknown space";
  }
}
