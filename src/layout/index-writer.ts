import { stat } from "node:fs/promises";
import { join } from "node:path";

import { onDisk } from "../errors/disk.ts";
import { TagferryError } from "../errors/error.ts";
import { ifThere, readInside, replaceFile } from "./files.ts";
import { EMPTY_INDEX, formatIndex, type LayoutIndex, parseIndex } from "./index-file.ts";

/** Room for about two hundred thousand tags. */
const INDEX_MAX_BYTES = 64 * 1024 * 1024;

/** index.json on the disk. */
export type IndexFile = {
  /** As it is now, whoever wrote it. @throws {TagferryError} LAYOUT_INVALID, DISK */
  read(): Promise<LayoutIndex>;
  /** Changes it, on the disk when this resolves. @throws {TagferryError} LAYOUT_INVALID, DISK_FULL, DISK */
  change(edit: Edit, writing: Writing): Promise<void>;
};

/** Returns the index it got when there is nothing to change. */
export type Edit = (index: LayoutIndex) => LayoutIndex;

export type Writing = {
  /** A path for the new file until it is whole. */
  readonly temporary: () => string;
  /** Brings to the disk what the index is about to name. */
  readonly settle: () => Promise<void>;
};

type Waiting = { readonly edit: Edit; readonly done: () => void; readonly failed: (error: unknown) => void };

/**
 * Changes that come while one is being written wait, and are written together: many tags at once cost few writes, and
 * each is on the disk before its caller goes on.
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

/** Tells one state of a file from the next: a renamed file is another inode. */
async function stampOf(path: string): Promise<string> {
  const facts = await onDisk(path, () => ifThere(() => stat(path, { bigint: true })));
  return facts ? `${facts.ino} ${facts.size} ${facts.mtimeNs}` : NOWHERE;
}
