import type { BookOptions, Progress } from "./record.ts";
import type { Shelf } from "./shelf.ts";

/** A progress nobody has renewed is of a process that is gone. */
const STALE_MS = 60_000;

/** The copies under way, in all processes. */
export type ProgressBook = {
  note(progress: Omit<Progress, "at">): Promise<void>;
  end(progress: Pick<Progress, "mirror" | "tag">): Promise<void>;
  underWay(): Promise<readonly Progress[]>;
};

export function openProgressBook(shelf: Shelf, { now, tell }: BookOptions): ProgressBook {
  return {
    async note(progress) {
      const entry: Progress = { ...progress, at: now().toISOString() };
      await shelf.put("progress", { [fieldOf(entry)]: JSON.stringify(entry) });
      await tell({ kind: "progress", mirror: entry.mirror, progress: entry });
    },
    end: (progress) => shelf.remove("progress", [fieldOf(progress)]),
    async underWay() {
      const staleBefore = new Date(now().getTime() - STALE_MS).toISOString();
      const entries = [...(await shelf.all("progress")).values()].map((text) => JSON.parse(text) as Progress);
      const stale = entries.filter(({ at }) => at < staleBefore);
      await shelf.remove("progress", stale.map(fieldOf));
      return entries.filter(({ at }) => at >= staleBefore);
    },
  };
}

const fieldOf = ({ mirror, tag }: Pick<Progress, "mirror" | "tag">): string => `${mirror}:${tag}`;
