import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import { parseProof, type ProofRecord, type ProofStore } from "./proofs.ts";

const FILE_MAX_BYTES = 64 * 1024 * 1024;
/** Records of tags that were not proved for this long are dropped. */
const KEPT_MS = 90 * 24 * 3_600_000;

/**
 * Keeps proofs in a file, for commands that run once. Reads the file at the first question, and writes it once, when
 * disposed.
 *
 * A problem with the file never fails a command; it only costs requests. If two commands run at once, the records of
 * the last one stay.
 */
export function fileProofs(path: string, clock: () => Date = () => new Date()): ProofStore & AsyncDisposable {
  let reading: Promise<Map<string, Map<string, ProofRecord>>> | undefined;
  let isChanged = false;
  const targets = (): Promise<Map<string, Map<string, ProofRecord>>> => (reading ??= readTargets(path));
  return {
    read: async (target) => (await targets()).get(target) ?? new Map<string, ProofRecord>(),
    async write(target, tag, record) {
      const all = await targets();
      const records = all.get(target) ?? new Map<string, ProofRecord>();
      records.set(tag, record);
      all.set(target, records);
      isChanged = true;
    },
    async [Symbol.asyncDispose]() {
      if (isChanged) await writeTargets(path, await targets(), clock().getTime() - KEPT_MS).catch(() => {});
    },
  };
}

async function readTargets(path: string): Promise<Map<string, Map<string, ProofRecord>>> {
  try {
    const text = await readFile(path, "utf8");
    if (text.length > FILE_MAX_BYTES) return new Map();
    const { targets } = JSON.parse(text) as { readonly targets: Readonly<Record<string, object>> };
    return new Map(Object.entries(targets).map(([target, records]) => [target, recordsOf(records)]));
  } catch {
    return new Map(); // the file does not exist, or another program wrote it
  }
}

function recordsOf(records: object): Map<string, ProofRecord> {
  const parsed = Object.entries(records).map(([tag, record]) => [tag, parseProof(record)] as const);
  return new Map(parsed.flatMap(([tag, record]) => (record ? [[tag, record]] : [])));
}

async function writeTargets(
  path: string,
  targets: ReadonlyMap<string, ReadonlyMap<string, ProofRecord>>,
  oldestMs: number,
): Promise<void> {
  const kept = [...targets].map(([target, records]) => {
    const fresh = [...records].filter(([, { provedAt }]) => Date.parse(provedAt) >= oldestMs);
    return [target, Object.fromEntries(fresh)] as const;
  });
  const temporary = `${path}.${crypto.randomUUID()}`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await writeFile(temporary, JSON.stringify({ targets: Object.fromEntries(kept) }), {
      flag: "wx",
      mode: 0o600,
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
