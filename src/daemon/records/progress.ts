import { parseRecord } from "../queue/job-schema.ts";
import type { StateStore } from "../state/state-store.ts";
import { progressSchema } from "./record-schemas.ts";
import type { RecordsOptions, Progress } from "./record-types.ts";

/** Progress that was not renewed for this long belongs to a process that has ended. */
const STALE_MS = 60_000;

/** The copies in progress, in all processes. */
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
      const fields = [...(await store.all("progress"))].map(
        ([field, text]) => [field, parseRecord(progressSchema, text)] as const,
      );
      const isFresh = (entry: Progress | undefined): boolean =>
        entry !== undefined && entry.at >= staleBefore;
      const stale = fields.filter(([, entry]) => !isFresh(entry)).map(([field]) => field);
      await store.remove("progress", stale);
      return fields.flatMap(([, entry]) => (entry && isFresh(entry) ? [entry] : []));
    },
  };
}

const fieldOf = ({ mirror, tag }: Pick<Progress, "mirror" | "tag">): string => `${mirror}:${tag}`;
