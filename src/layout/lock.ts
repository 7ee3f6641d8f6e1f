import { randomUUID } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rename, rm, rmdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { kill, pid } from "node:process";

import { errnoOf, onDisk } from "../errors/disk.ts";
import { TagferryError } from "../errors/error.ts";
import { ifThere, readInside, writeNew } from "./files.ts";

/** The directory with the lock and unfinished files. Other tools ignore it. */
export const WORKSPACE = ".tagferry";
const LOCK = "lock";
const OWNER_MAX_BYTES = 4096;
/** Files that a crashed writer may leave, besides the lock. */
const LEFTOVER = /^(?:tmp|asking)-/;
const LEFTOVER_MS = 60_000;
/** How often the lock is requested while other processes take and release it. */
const ATTEMPTS = 10;

/** The right to write a layout. Disposing gives it back. */
export type WriteLock = AsyncDisposable & {
  /** A path for a file that will be renamed into the layout. If that fails, the next writer removes the file. */
  temporary(): string;
};

type Owner = { readonly pid: number; readonly host: string; readonly start?: string; readonly id: string };

/**
 * Takes the lock of a layout. If the process that holds it no longer exists, the lock is taken over.
 *
 * The lock is a directory that contains a file of its owner. A directory can be renamed onto another only if that is
 * empty. So the lock appears in one step on every file system, also on USB disks without hard links. The file of a
 * dead owner is removed by its name. So a process cannot remove the lock of another process that was faster.
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
 * The workspace and the lock must be real directories, or not exist. So nothing is written or removed through a link.
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
      // the last holder has removed the workspace
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

/** The owner of the lock; undefined when the lock was given back meanwhile. */
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

/** Whether the owner still runs. Processes of another host are not visible and count as running. */
async function isAlive({ pid: holder, host, start }: Owner): Promise<boolean> {
  if (host !== hostname()) return true;
  try {
    kill(holder, 0);
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
  // after a restart of a container, the same number may be another process
  const running = await startOf(holder);
  return start === undefined || running === undefined || running === start;
}

/** The start time of a process in ticks of the kernel; undefined without /proc. */
async function startOf(process: number): Promise<string | undefined> {
  try {
    const facts = await readFile(`/proc/${process}/stat`, "utf8");
    // the second field is the name of the program, with any characters
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
      // another process holds the lock already, or has removed the directory
      if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(errnoOf(error) ?? "")) throw error;
    }
  }
}

/** Removes the files of crashed writers. We hold the lock, so no process uses these files. */
async function sweep(workspace: string): Promise<void> {
  await onDisk(workspace, async () => {
    for (const name of await readdir(workspace)) {
      if (!LEFTOVER.test(name)) continue;
      const path = join(workspace, name);
      // another process may be requesting the lock now
      const facts = name.startsWith("asking-") ? await ifThere(() => stat(path)) : undefined;
      if (facts && Date.now() - facts.mtimeMs < LEFTOVER_MS) continue;
      await rm(path, { recursive: true, force: true });
    }
  });
}
