import { type FileHandle, mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

import { errnoOf, onDisk } from "../../errors/disk.ts";
import { failureOf } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { inProcessStateStore, type StateStore, type StateNamespace } from "./state-store.ts";

/** One line of the file: what was set, or what was removed (all of the namespace without `fields`). */
type Change =
  | ({ readonly kind: "set" } & StateNamespace)
  | { readonly kind: "remove"; readonly namespace: string; readonly fields?: readonly string[] };

/** The file is written anew when it has grown to this, and to several times of what it has to publish. */
const REWRITE_BYTES = 1024 * 1024;
const REWRITE_FACTOR = 4;
/** Of no use to the next process. */
const FLEETING = "progress";

/**
 * For one process, with a file that remembers for the next one: each change is a line, on its way to the disk before the
 * change is done, so that a process that is killed loses nothing. A line that cannot be read is passed over; a disk that
 * refuses is told of once, and the process goes on from memory.
 *
 * @throws {TagferryError} DISK, DISK_FULL when the file cannot be read or begun
 */
export async function fileStateStore(
  path: string,
  { log }: { readonly log: Log },
): Promise<StateStore & AsyncDisposable> {
  const store = inProcessStateStore();
  const unread = await readChanges(path, store);
  if (unread > 0)
    log.warn({ path, lines: unread }, `${path} has lines that cannot be read: they are passed over`);
  const file = await openJournal(path, () => store.dump(), log);
  return {
    ...store,
    async set(namespace, fields, options = {}) {
      await store.set(namespace, fields, options);
      const { ttlMs } = options;
      const expire = ttlMs === undefined ? {} : { expiresAtMs: Date.now() + ttlMs };
      await file.note({ kind: "set", namespace, fields, ...expire });
    },
    async remove(namespace, fields) {
      await store.remove(namespace, fields);
      await file.note({ kind: "remove", namespace, ...(fields ? { fields } : {}) });
    },
    async add(namespace, field, amount) {
      const sum = await store.add(namespace, field, amount);
      await file.note({ kind: "set", namespace, fields: { [field]: String(sum) } });
      return sum;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** Tells how many lines could not be read. The last one of a process that was killed may be half. */
async function readChanges(path: string, store: StateStore): Promise<number> {
  let unread = 0;
  for (const line of (await readIfThere(path)).split("\n")) {
    if (line === "") continue;
    const change = parseChange(line);
    if (!change) unread += 1;
    else if (change.kind === "remove") await store.remove(change.namespace, change.fields);
    else await setAgain(change, store);
  }
  return unread;
}

async function setAgain(
  { namespace, fields, expiresAtMs }: StateNamespace,
  store: StateStore,
): Promise<void> {
  if (expiresAtMs === undefined) return store.set(namespace, fields);
  const ttlMs = expiresAtMs - Date.now();
  return ttlMs > 0 ? store.set(namespace, fields, { ttlMs }) : store.remove(namespace);
}

function parseChange(line: string): Change | undefined {
  try {
    const change = JSON.parse(line) as Change;
    const known = change.kind === "set" || change.kind === "remove";
    return known && typeof change.namespace === "string" ? change : undefined;
  } catch {
    return undefined;
  }
}

async function readIfThere(path: string): Promise<string> {
  return onDisk(path, async () => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return "";
      throw error;
    }
  });
}

type Journal = { note(change: Change): Promise<void>; close(): Promise<void> };

async function openJournal(path: string, dump: () => Iterable<StateNamespace>, log: Log): Promise<Journal> {
  let file: FileHandle | undefined;
  let sizeBytes = 0;
  let leastBytes = 0;
  let waiting: string[] = [];
  let writing: Promise<void> | undefined;
  let refused = false;

  /** Beside the old one, then in its namespace: there is always a whole file. */
  async function rewrite(): Promise<void> {
    const text = [...dump()].map((namespace) => lineOf({ kind: "set", ...namespace })).join("");
    await onDisk(path, async () => {
      const next = await open(`${path}.new`, "w", 0o600);
      try {
        await next.appendFile(text);
        await rename(`${path}.new`, path);
      } catch (error) {
        await next.close();
        throw error;
      }
      await file?.close();
      file = next;
    });
    sizeBytes = Buffer.byteLength(text);
    leastBytes = sizeBytes;
  }

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const text = waiting.join("");
      waiting = [];
      sizeBytes += Buffer.byteLength(text);
      try {
        // a refused write may have left half a line
        if (refused || sizeBytes > Math.max(REWRITE_BYTES, REWRITE_FACTOR * leastBytes)) await rewrite();
        else await onDisk(path, async () => file?.appendFile(text));
        refused = false;
      } catch (error) {
        if (!refused)
          log.error({ path, ...failureOf(error) }, `${path} cannot be written: a restart forgets`);
        refused = true;
      }
    }
    writing = undefined;
  }

  await onDisk(path, () => makeDirectory(dirname(path)));
  await rewrite();
  return {
    note(change) {
      if (change.namespace === FLEETING) return Promise.resolve();
      waiting.push(lineOf(change));
      return (writing ??= write());
    },
    async close() {
      await writing;
      await file?.close();
    },
  };
}

/** One level only: in a file system that takes no directories (/proc), Node never ends to make several. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

function lineOf(change: Change): string {
  return `${JSON.stringify(change)}\n`;
}
