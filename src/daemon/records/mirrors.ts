import { parseRecord } from "../queue/job-schema.ts";
import type { StateStore } from "../state/state-store.ts";
import { parseMirrorFields, retrySchema } from "./record-schemas.ts";
import type { MirrorRecord, RecordsOptions, RetryState, Run } from "./record-types.ts";

/** What is known of every mirror besides its runs. The only writer of `mirror:NAME`. */
export type MirrorRecords = {
  read(mirror: string): Promise<MirrorRecord>;
  due(mirror: string, dueAt: Date): Promise<void>;
  /**
   * A number for a reading of the source, taken before the source is asked. It is larger than that of every earlier reading of
   * this mirror, in whichever process, also when a clock went back, and than `above`. Near the Unix time in ms.
   */
  nextReading(mirror: string, above?: number): Promise<number>;
  /** An attempt failed and comes again. */
  retries(mirror: string, retrying: RetryState): Promise<void>;
  /** A run ended. */
  finished(run: Pick<Run, "mirror" | "state">): Promise<void>;
  pause(mirror: string, by: string): Promise<void>;
  resume(mirror: string): Promise<void>;
};

export function openMirrorRecords(store: StateStore, { now, notify }: RecordsOptions): MirrorRecords {
  const stamp = (): string => now().toISOString();

  async function read(mirror: string): Promise<MirrorRecord> {
    const fields = await store.all(namespaceOf(mirror));
    const retrying = parseRecord(retrySchema, fields.get("retrying"));
    return { ...parseMirrorFields(fields), ...(retrying ? { retrying } : {}) };
  }

  return {
    read,
    async due(mirror, dueAt) {
      const { lastDueAt } = await read(mirror);
      const text = dueAt.toISOString();
      // one that lies ahead was written before the clock went back
      if (lastDueAt === undefined || lastDueAt < text || lastDueAt > stamp())
        await store.set(namespaceOf(mirror), { lastDueAt: text });
    },
    nextReading: (mirror, above = 0) =>
      store.raise(namespaceOf(mirror), "reading", { atLeast: Math.max(now().getTime(), above + 1), step: 1 }),
    async retries(mirror, retrying) {
      await store.set(namespaceOf(mirror), { retrying: JSON.stringify(retrying) });
      await notify({ kind: "mirror", mirror });
    },
    async finished({ mirror, state }) {
      const failingSince = await store.get(namespaceOf(mirror), "failingSince");
      await store.set(namespaceOf(mirror), {
        lastRunAt: stamp(),
        ...(state === "done" ? { lastSuccessAt: stamp() } : { failingSince: failingSince ?? stamp() }),
      });
      await store.remove(namespaceOf(mirror), ["retrying", ...(state === "done" ? ["failingSince"] : [])]);
    },
    async pause(mirror, by) {
      await store.set(namespaceOf(mirror), { pausedAt: stamp(), pausedBy: by });
      await notify({ kind: "mirror", mirror });
    },
    async resume(mirror) {
      await store.remove(namespaceOf(mirror), ["pausedAt", "pausedBy"]);
      await notify({ kind: "mirror", mirror });
    },
  };
}

const namespaceOf = (mirror: string): string => `mirror:${mirror}`;
