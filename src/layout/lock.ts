import { randomUUID } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rename, rm, rmdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { kill, pid } from "node:process";

import { errnoOf, onDisk } from "../errors/disk.ts";
import { TagferryError } from "../errors/error.ts";
import { ifThere, readInside, writeNew } from "./files.ts";

/** Holds the lock and unfinished files. Other tools ignore it. */
export const WORKSPACE = ".tagferry";
const LOCK = "lock";
const OWNER_MAX_BYTES = 4096;
/** What a writer that crashed may leave behind besides the lock. */
const LEFTOVER = /^(?:tmp|asking)-/;
const LEFTOVER_MS = 60_000;
/** How often the lock is tried when other processes take and release it meanwhile. */
const ATTEMPTS = 10;

/** The right to write a layout. Disposing gives it back. */
export type WriteLock = AsyncDisposable & {
  /** A path for a file that will be renamed into the layout, or swept by the next writer. */
  temporary(): string;
};

type Owner = { readonly pid: number; readonly host: string; readonly start?: string; readonly id: string };

/**
 * Takes the lock of a layout; the lock of a process that is gone is taken over.
 *
 * The lock is a directory with its owner's file in it. Renaming one onto another works only where that is empty, on every
 * file system, also on those of USB disks, which have no hard links: so it appears in one step. A dead owner is removed by
 * the name of its file, so nobody can remove another who was quicker.
 *
 * @throws {TagferryError} LAYOUT_LOCKED, DISK, DISK_FULL
 */
export async function takeLock(root: string): Promise<WriteLock> {
  const workspace = join(root, WORKSPACE);
  await onDisk(workspace, () => refuseLinks(workspace));
  const { id } = await onDisk(workspace, () => take(workspace));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => onDisk(workspace, () => release(workspace, id)));
  await sweep(workspace);
  const held = stack.move();
  return {
    temporary: () => join(workspace, `tmp-${randomUUID()}`),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/**
 * The workspace and the lock are directories of their own, or not there: what we write or sweep never lies behind a link.
 *
 * @throws {TagferryError} LAYOUT_INVALID
 */
async function refuseLinks(workspace: string): Promise<void> {
  for (const path of [workspace, join(workspace, LOCK)]) {
    const facts = await ifThere(() => lstat(path));
    if (facts && !facts.isDirectory())
      throw new TagferryError("LAYOUT_INVALID", `${path} is not a directory`, {
        where: path,
        next: "Remove it: nothing in it is needed while nobody writes the layout.",
      });
  }
}

async function take(workspace: string): Promise<Owner> {
  const id = randomUUID();
  const start = await startOf(pid);
  const owner: Owner = { pid, host: hostname(), ...(start === undefined ? {} : { start }), id };
  for (let attempt = 1; ; attempt += 1) {
    try {
      if (await claim(workspace, owner)) return owner;
    } catch (error) {
      // its last holder removed the workspace meanwhile
      if (errnoOf(error) !== "ENOENT" || attempt >= ATTEMPTS) throw error;
      continue;
    }
    const holder = await holderOf(workspace);
    if (attempt >= ATTEMPTS || (holder && (await isAlive(holder)))) throw locked(workspace, holder);
    if (holder) await ifThere(() => rm(ownerFile(workspace, holder.id)));
  }
}

function locked(workspace: string, holder: Owner | undefined): TagferryError {
  const where = join(workspace, LOCK);
  const who = holder ? `process ${holder.pid} on ${holder.host}` : "an unknown process";
  return new TagferryError("LAYOUT_LOCKED", `${who} is writing this layout`, {
    where,
    found: who,
    next: `Wait until it has finished. If that process no longer exists, remove the directory ${where}.`,
  });
}

async function claim(workspace: string, owner: Owner): Promise<boolean> {
  const asking = join(workspace, `asking-${owner.id}`);
  await mkdir(asking, { recursive: true });
  try {
    await writeNew(join(asking, `${owner.id}.json`), Buffer.from(JSON.stringify(owner)));
    await rename(asking, join(workspace, LOCK));
    return true;
  } catch (error) {
    await rm(asking, { recursive: true, force: true });
    if (["ENOTEMPTY", "EEXIST", "EPERM"].includes(errnoOf(error) ?? "")) return false;
    throw error;
  }
}

function ownerFile(workspace: string, id: string): string {
  return join(workspace, LOCK, `${id}.json`);
}

/** Who holds the lock; undefined when it was given back meanwhile. */
async function holderOf(workspace: string): Promise<Owner | undefined> {
  const [file] = (await ifThere(() => readdir(join(workspace, LOCK)))) ?? [];
  if (file === undefined) return undefined;
  const id = basename(file, ".json");
  const bytes = await readInside(workspace, join(workspace, LOCK, file), { maxBytes: OWNER_MAX_BYTES });
  if (bytes === undefined) return undefined;
  try {
    const text = bytes === "large" ? "" : Buffer.from(bytes).toString("utf8");
    const { pid: holder, host, start } = JSON.parse(text) as Partial<Owner>;
    if (typeof holder === "number" && typeof host === "string")
      return { pid: holder, host, id, ...(typeof start === "string" ? { start } : {}) };
  } catch {
    // written by another program: its process is unknown
  }
  return { pid: 0, host: "an unknown host", id };
}

/** Whether the owner still runs. The processes of another host cannot be seen, and count as running. */
async function isAlive({ pid: holder, host, start }: Owner): Promise<boolean> {
  if (host !== hostname()) return true;
  try {
    kill(holder, 0);
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
  // in a restarted container the same number may be another process
  const running = await startOf(holder);
  return start === undefined || running === undefined || running === start;
}

/** When a process started, in the kernel's ticks; undefined where there is no /proc. */
async function startOf(process: number): Promise<string | undefined> {
  try {
    const facts = await readFile(`/proc/${process}/stat`, "utf8");
    // the second field is the program's name, and may hold anything
    return facts
      .slice(facts.lastIndexOf(")") + 2)
      .split(" ")
      .at(19);
  } catch {
    return undefined;
  }
}

async function release(workspace: string, id: string): Promise<void> {
  await ifThere(() => rm(ownerFile(workspace, id)));
  for (const directory of [join(workspace, LOCK), workspace]) {
    try {
      await rmdir(directory);
    } catch (error) {
      // the next one is already there, or somebody removed it
      if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(errnoOf(error) ?? "")) throw error;
    }
  }
}

/** Removes what crashed writers left. The lock is held, so nobody uses those files any more. */
async function sweep(workspace: string): Promise<void> {
  await onDisk(workspace, async () => {
    for (const name of await readdir(workspace)) {
      if (!LEFTOVER.test(name)) continue;
      const path = join(workspace, name);
      // another process may be asking for the lock right now
      const facts = name.startsWith("asking-") ? await ifThere(() => stat(path)) : undefined;
      if (facts && Date.now() - facts.mtimeMs < LEFTOVER_MS) continue;
      await rm(path, { recursive: true, force: true });
    }
  });
}
