import type { StateStore } from "../state/state-store.ts";
import type { RecordsOptions, Progress } from "./record-types.ts";

/** A progress nobody has renewed is of a process that is gone. */
const STALE_MS = 60_000;

/** The copies under way, in all processes. */
export type ProgressRecords = {
  note(progress: Omit<Progress, "at">): Promise<void>;
  end(progress: Pick<Progress, "mirror" | "tag">): Promise<void>;
  underWay(): Promise<readonly Progress[]>;
};

export function openProgressRecords(store: StateStore, { now, notify }: RecordsOptions): ProgressRecords {
  return {
    async note(progress) {
      const entry: Progress = { ...progress, at: now().toISOString() };
      await store.set("progress", { [fieldOf(entry)]: JSON.stringify(entry) });
      await notify({ kind: "progress", mirror: entry.mirror, progress: entry });
    },
    end: (progress) => store.remove("progress", [fieldOf(progress)]),
    async underWay() {
      const staleBefore = new Date(now().getTime() - STALE_MS).toISOString();
      const entries = [...(await store.all("progress")).values()].map((text) => JSON.parse(text) as Progress);
      const stale = entries.filter(({ at }) => at < staleBefore);
      await store.remove("progress", stale.map(fieldOf));
      return entries.filter(({ at }) => at >= staleBefore);
    },
  };
}

const fieldOf = ({ mirror, tag }: Pick<Progress, "mirror" | "tag">): string => `${mirror}:${tag}`;
