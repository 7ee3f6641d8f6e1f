import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, realpath, rename } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

import { errnoOf, onDisk } from "../errors/disk.ts";
import { TagferryError } from "../errors/error.ts";

/** The result of `task`; undefined when the file does not exist. */
export async function ifThere<T>(task: () => Promise<T>): Promise<T | undefined> {
  try {
    return await task();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Opens a file below `root` for reading; undefined when it does not exist.
 *
 * A layout may come from an untrusted source. So symbolic links below `root` are not followed, and only regular files
 * are read (no pipe, no device). `root` itself may be a link.
 *
 * @throws {TagferryError} LAYOUT_INVALID, DISK
 */
export async function openInside(root: string, path: string): Promise<FileHandle | undefined> {
  return onDisk(path, async () => {
    const real = await ifThere(() => insideOf(root, path));
    if (real === undefined) return undefined;
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const file = await ifThere(() => open(real, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    if (file === undefined || (await file.stat()).isFile()) return file;
    await file.close();
    throw new TagferryError("LAYOUT_INVALID", `${path} is not a file`, { where: path });
  });
}

/**
 * The real path of something that exists below `root`. No part of the path below `root` may be a symbolic link.
 *
 * @throws {TagferryError} LAYOUT_INVALID
 */
export async function insideOf(root: string, path: string): Promise<string> {
  const [realRoot, real] = await Promise.all([realpath(root), realpath(path)]);
  if (real !== join(realRoot, relative(root, path)))
    throw new TagferryError("LAYOUT_INVALID", `${path} is a symbolic link, or is reached through one`, {
      where: path,
      found: real,
      next: "Replace the link by what it leads to.",
    });
  return real;
}

/**
 * Creates a directory below `root`, with its parents.
 *
 * @throws {TagferryError} LAYOUT_INVALID when a part of the path is a symbolic link or a file. Nothing is created
 *   behind it
 */
export async function makeDirectoryInside(root: string, ...names: readonly string[]): Promise<string> {
  let path = root;
  for (const name of names) {
    path = join(path, name);
    const there = await ifThere(() => lstat(path));
    if (there && !there.isDirectory())
      throw new TagferryError("LAYOUT_INVALID", `${path} is not a directory`, { where: path });
    if (!there) await mkdir(path, { recursive: true });
  }
  return path;
}

/**
 * Reads a whole file below `root`, at most `maxBytes`; undefined when it does not exist, `"large"` when it is larger.
 *
 * @throws {TagferryError} LAYOUT_INVALID, DISK
 */
export async function readInside(
  root: string,
  path: string,
  { maxBytes }: { readonly maxBytes: number },
): Promise<Uint8Array | "large" | undefined> {
  const file = await openInside(root, path);
  if (!file) return undefined;
  try {
    const { size } = await onDisk(path, () => file.stat());
    return size > maxBytes ? "large" : await onDisk(path, () => file.readFile());
  } finally {
    await file.close();
  }
}

/** Writes all `bytes` at the current position of the file. A single write of Node may write less. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
}

/** Creates a file with `bytes`. It is on the disk when this resolves. */
export async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx");
  try {
    await writeAll(file, bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Replaces a file in one step. After a crash, the file is either the old one or the new one, and complete.
 *
 * `temporary` is an unused path on the same file system.
 *
 * @throws {TagferryError} DISK_FULL, DISK
 */
export async function replaceFile(path: string, bytes: Uint8Array, temporary: string): Promise<void> {
  await onDisk(path, async () => {
    await writeNew(temporary, bytes);
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  });
}

/** Writes the names in a directory to the disk, so that they survive a crash. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
