import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export type Side = "source" | "target";

/** One request or one event. Plain JSON: the file of a violation has one per line. */
export type LedgerEntry = {
  readonly n: number;
  /** Milliseconds since the scenario began. */
  readonly at: number;
  readonly who: Side | "harness";
  readonly what: string;
  fault?: string;
  status?: number;
  /** How long the answer took, in milliseconds. */
  took?: number;
};

export type Ledger = {
  readonly now: () => number;
  readonly entries: LedgerEntry[];
  note(who: LedgerEntry["who"], what: string): LedgerEntry;
  /** Counts a fault that was injected. */
  count(fault: string): void;
  readonly faults: ReadonlyMap<string, number>;
  write(path: string): void;
};

const MOST_ENTRIES = 50_000;

export function ledger(): Ledger {
  const begun = performance.now();
  const entries: LedgerEntry[] = [];
  const faults = new Map<string, number>();
  const now = (): number => Math.round(performance.now() - begun);
  return {
    now,
    entries,
    faults,
    note: (who, what) => {
      const entry = { n: entries.length + 1, at: now(), who, what };
      if (entries.length < MOST_ENTRIES) entries.push(entry);
      return entry;
    },
    count: (fault) => void faults.set(fault, (faults.get(fault) ?? 0) + 1),
    write: (path) => {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
    },
  };
}
