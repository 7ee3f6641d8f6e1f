import { parseProof, type ProofRecord, type ProofStore } from "../../sync/proofs/proofs.ts";
import type { StateStore } from "../state/state-store.ts";

/** The records of a target are removed this long after the last write. Timers of Node allow at most 24.8 days. */
const KEPT_MS = 20 * 24 * 3_600_000;

/** The proofs of published tags, one field for each tag of a target. */
export function openProofRecords(store: StateStore): ProofStore {
  return {
    async read(target) {
      const records = new Map<string, ProofRecord>();
      for (const [tag, text] of await store.all(namespaceOf(target))) {
        const record = parsed(text);
        if (record) records.set(tag, record);
      }
      return records;
    },
    write: (target, tag, record) =>
      store.set(namespaceOf(target), { [tag]: JSON.stringify(record) }, { ttlMs: KEPT_MS }),
  };
}

function namespaceOf(target: string): string {
  return `proofs:${target}`;
}

function parsed(text: string): ProofRecord | undefined {
  try {
    return parseProof(JSON.parse(text));
  } catch {
    return undefined; // written by something else: the tag is proved again
  }
}
