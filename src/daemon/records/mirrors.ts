import type { StateStore } from "../state/state-store.ts";
import type { RecordsOptions, MirrorRecord } from "./record-types.ts";

/** What is known of every mirror besides its runs. */
export type MirrorRecords = {
  read(mirror: string): Promise<MirrorRecord>;
  due(mirror: string, dueAt: Date): Promise<void>;
  pause(mirror: string, by: string): Promise<void>;
  resume(mirror: string): Promise<void>;
};

export function openMirrorRecords(store: StateStore, { now, notify }: RecordsOptions): MirrorRecords {
  async function read(mirror: string): Promise<MirrorRecord> {
    return Object.fromEntries(await store.all(`mirror:${mirror}`));
  }
  return {
    read,
    async due(mirror, dueAt) {
      const { lastDueAt } = await read(mirror);
      const text = dueAt.toISOString();
      if (lastDueAt === undefined || lastDueAt < text)
        await store.set(`mirror:${mirror}`, { lastDueAt: text });
    },
    async pause(mirror, by) {
      await store.set(`mirror:${mirror}`, { pausedAt: now().toISOString(), pausedBy: by });
      await notify({ kind: "mirror", mirror });
    },
    async resume(mirror) {
      await store.remove(`mirror:${mirror}`, ["pausedAt", "pausedBy"]);
      await notify({ kind: "mirror", mirror });
    },
  };
}
