import { stat } from "node:fs/promises";
import { join } from "node:path";

import { onDisk } from "../errors/disk.ts";
import { TagferryError } from "../errors/error.ts";
import { ifThere, readInside, replaceFile } from "./files.ts";
import { EMPTY_INDEX, formatIndex, type LayoutIndex, parseIndex } from "./index-file.ts";

/** Room for about two hundred thousand tags. */
const INDEX_MAX_BYTES = 64 * 1024 * 1024;

/** The file index.json. */
export type IndexFile = {
  /** Its current content, even when another process wrote it. @throws {TagferryError} LAYOUT_INVALID, DISK */
  read(): Promise<LayoutIndex>;
  /**
   * Changes it. The change is on the disk when this resolves. @throws {TagferryError} LAYOUT_INVALID, DISK_FULL, DISK
   */
  change(edit: Edit, writing: Writing): Promise<void>;
};

/** Returns the same index when there is nothing to change. */
export type Edit = (index: LayoutIndex) => LayoutIndex;

export type Writing = {
  /** A path for the new file until it is complete. */
  readonly temporary: () => string;
  /** Flushes to the disk what the new index names. */
  readonly settle: () => Promise<void>;
};

type Waiting = { readonly edit: Edit; readonly done: () => void; readonly failed: (error: unknown) => void };

/**
 * Changes that are requested during a write wait, and are written together by the next one. So many tags at once need
 * few writes, and each change is on the disk before its caller continues.
 */
export function openIndexFile(root: string, { optional }: { readonly optional: boolean }): IndexFile {
  const path = join(root, "index.json");
  const waiting: Waiting[] = [];
  let known: { readonly stamp: string; readonly index: LayoutIndex } | undefined;
  let busy = false;

  async function read(): Promise<LayoutIndex> {
    const stamp = await stampOf(path);
    if (known?.stamp === stamp) return known.index;
    const index = await load();
    known = { stamp, index };
    return index;
  }

  async function load(): Promise<LayoutIndex> {
    const bytes = await readInside(root, path, { maxBytes: INDEX_MAX_BYTES });
    if (bytes === "large")
      throw new TagferryError("LAYOUT_INVALID", `${path} is too large`, {
        where: path,
        allowed: INDEX_MAX_BYTES,
      });
    if (bytes !== undefined) return parseIndex(bytes, path);
    if (optional) return EMPTY_INDEX;
    throw new TagferryError("LAYOUT_INVALID", `${path} is missing`, { where: path });
  }

  async function write(batch: readonly Waiting[], { temporary, settle }: Writing): Promise<void> {
    const before = await read();
    const index = batch.reduce((edited, { edit }) => edit(edited), before);
    if (index === before && (await stampOf(path)) !== NOWHERE) return;
    await settle();
    await replaceFile(path, Buffer.from(formatIndex(index)), temporary());
    known = { stamp: await stampOf(path), index };
  }

  async function writeAllWaiting(writing: Writing): Promise<void> {
    busy = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0);
      try {
        await write(batch, writing);
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    busy = false;
  }

  return {
    read,
    change(edit, writing) {
      const { promise, resolve: done, reject: failed } = Promise.withResolvers<void>();
      waiting.push({ edit, done, failed });
      if (!busy) void writeAllWaiting(writing);
      return promise;
    },
  };
}

const NOWHERE = "nowhere";

/** Differs for each state of a file: a file that replaces another has a new inode. */
async function stampOf(path: string): Promise<string> {
  const facts = await onDisk(path, () => ifThere(() => stat(path, { bigint: true })));
  return facts ? `${facts.ino} ${facts.size} ${facts.mtimeNs}` : NOWHERE;
}
