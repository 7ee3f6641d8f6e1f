import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

import { z } from "zod";

import { errnoOf, onDisk } from "../../errors/disk.ts";
import { failureOf } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { inProcessStateStore, type StateStore, type StateNamespace } from "./state-store.ts";

/** One line of the file: fields that were set or removed. A removal without `fields` is of the whole namespace. */
type Change =
  | ({ readonly kind: "set" } & StateNamespace)
  | { readonly kind: "remove"; readonly namespace: string; readonly fields?: readonly string[] };

const changeSchema: z.ZodType<Change> = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("set"),
    namespace: z.string(),
    fields: z.record(z.string(), z.string()),
    expiresAtMs: z.number().exactOptional(),
  }),
  z.object({
    kind: z.literal("remove"),
    namespace: z.string(),
    fields: z.array(z.string()).exactOptional(),
  }),
]);

/** The file is rewritten when it is larger than this, and several times larger than its content. */
const REWRITE_BYTES = 1024 * 1024;
const REWRITE_FACTOR = 4;
/** Not written: the next process does not need it. */
const FLEETING = "progress";

/**
 * For one process, with a file for its successor. Each change is one line, and is written before the call returns, so
 * that a killed process loses nothing. Invalid lines are skipped. If the disk refuses a write, this is logged once, and
 * the process continues from memory. The file is never opened through a symbolic link.
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
    log.warn({ path, lines: unread }, `${path} has lines that cannot be read; they are ignored`);
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
    async raise(namespace, field, options) {
      const raised = await store.raise(namespace, field, options);
      await file.note({ kind: "set", namespace, fields: { [field]: String(raised) } });
      return raised;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** Returns the number of invalid lines. The last line of a killed process may be incomplete. */
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
    return changeSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

async function readIfThere(path: string): Promise<string> {
  return onDisk(path, async () => {
    try {
      await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      return await file.readFile("utf8");
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return "";
      throw error;
    }
  });
}

const NEW_FILE =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

type Journal = { note(change: Change): Promise<void>; close(): Promise<void> };

async function openJournal(path: string, dump: () => Iterable<StateNamespace>, log: Log): Promise<Journal> {
  let file: FileHandle | undefined;
  let sizeBytes = 0;
  let leastBytes = 0;
  let waiting: string[] = [];
  let writing: Promise<void> | undefined;
  let refused = false;

  /** Writes a new file and renames it, so that there is always a complete file. */
  async function rewrite(): Promise<void> {
    const text = [...dump()].map((namespace) => lineOf({ kind: "set", ...namespace })).join("");
    await onDisk(path, async () => {
      // an unpredictable name: nobody can put a link there first
      const name = `${path}.${randomBytes(12).toString("hex")}`;
      const next = await open(name, NEW_FILE, 0o600);
      try {
        await next.appendFile(text);
        await rename(name, path);
      } catch (error) {
        await next.close();
        await rm(name, { force: true });
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
        // a failed write may have left a part of a line
        if (refused || sizeBytes > Math.max(REWRITE_BYTES, REWRITE_FACTOR * leastBytes)) await rewrite();
        else await onDisk(path, async () => file?.appendFile(text));
        refused = false;
      } catch (error) {
        if (!refused)
          log.error({ path, ...failureOf(error) }, `${path} cannot be written: a restart loses the records`);
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

/** One level only: where no directory can be created (/proc), the recursive form of Node never returns. */
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
