import type { BookOptions, MirrorRecord } from "./record.ts";
import type { Shelf } from "./shelf.ts";

/** What is known of every mirror besides its runs. */
export type MirrorBook = {
  read(mirror: string): Promise<MirrorRecord>;
  due(mirror: string, dueAt: Date): Promise<void>;
  pause(mirror: string, by: string): Promise<void>;
  resume(mirror: string): Promise<void>;
};

export function openMirrorBook(shelf: Shelf, { now, tell }: BookOptions): MirrorBook {
  async function read(mirror: string): Promise<MirrorRecord> {
    return Object.fromEntries(await shelf.all(`mirror:${mirror}`));
  }
  return {
    read,
    async due(mirror, dueAt) {
      const { lastDueAt } = await read(mirror);
      const text = dueAt.toISOString();
      if (lastDueAt === undefined || lastDueAt < text)
        await shelf.put(`mirror:${mirror}`, { lastDueAt: text });
    },
    async pause(mirror, by) {
      await shelf.put(`mirror:${mirror}`, { pausedAt: now().toISOString(), pausedBy: by });
      await tell({ kind: "mirror", mirror });
    },
    async resume(mirror) {
      await shelf.remove(`mirror:${mirror}`, ["pausedAt", "pausedBy"]);
      await tell({ kind: "mirror", mirror });
    },
  };
}
