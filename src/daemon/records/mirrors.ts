import { parseRecord } from "../queue/job-schema.ts";
import type { StateStore } from "../state/state-store.ts";
import { parseMirrorFields, retrySchema } from "./record-schemas.ts";
import type { MirrorRecord, RecordsOptions, RetryState, Run } from "./record-types.ts";

/** What is known of every mirror besides its runs. The only writer of `mirror:NAME`. */
export type MirrorRecords = {
  read(mirror: string): Promise<MirrorRecord>;
  /** Records that a due time has come, or that somebody requested a check. */
  due(mirror: string, dueAt: Date): Promise<void>;
  /**
   * A number for a reading of the source, taken before the source is asked. It is larger than `above`, and than the
   * number of every earlier reading of this mirror in any process, also after a clock was set back. It is near the Unix
   * time in ms.
   */
  nextReading(mirror: string, above?: number): Promise<number>;
  /** An attempt failed, and another one follows. */
  retries(mirror: string, retrying: RetryState): Promise<void>;
  /** These tags have an outcome: what was said about trying one of them again is no longer true. */
  retried(mirror: string, tags: readonly string[]): Promise<void>;
  /** A run ended. A cancelled one says nothing about whether the mirror works. */
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
      const record = await read(mirror);
      const text = dueAt.toISOString();
      const { lastDueAt } = record;
      // a time in the future was written before the clock was set back
      const isLast = lastDueAt === undefined || lastDueAt < text || lastDueAt > stamp();
      const isFirst = overdueSince(record, now()) === undefined;
      if (!isLast && !isFirst) return;
      await store.set(namespaceOf(mirror), {
        ...(isLast ? { lastDueAt: text } : {}),
        ...(isFirst ? { dueSince: text } : {}),
      });
    },
    nextReading: (mirror, above = 0) =>
      store.raise(namespaceOf(mirror), "reading", { atLeast: Math.max(now().getTime(), above + 1), step: 1 }),
    async retries(mirror, retrying) {
      await store.set(namespaceOf(mirror), { retrying: JSON.stringify(retrying) });
      await notify({ kind: "mirror", mirror });
    },
    async retried(mirror, tags) {
      const retrying = parseRecord(retrySchema, await store.get(namespaceOf(mirror), "retrying"));
      if (retrying?.tag !== undefined && tags.includes(retrying.tag))
        await store.remove(namespaceOf(mirror), ["retrying"]);
    },
    async finished({ mirror, state }) {
      const failingSince = await store.get(namespaceOf(mirror), "failingSince");
      await store.set(namespaceOf(mirror), {
        lastRunAt: stamp(),
        ...(state === "done" ? { lastSuccessAt: stamp() } : {}),
        ...(state === "partial" || state === "failed" ? { failingSince: failingSince ?? stamp() } : {}),
      });
      await store.remove(namespaceOf(mirror), ["retrying", ...(state === "done" ? ["failingSince"] : [])]);
    },
    async pause(mirror, by) {
      await store.set(namespaceOf(mirror), { pausedAt: stamp(), pausedBy: by });
      await notify({ kind: "mirror", mirror });
    },
    async resume(mirror) {
      // what was due during the pause is not late
      await store.remove(namespaceOf(mirror), ["pausedAt", "pausedBy", "dueSince"]);
      await notify({ kind: "mirror", mirror });
    },
  };
}

/**
 * The first due time that no finished run has answered; undefined when there is none. Times after `now` were written
 * before the clock was set back, and do not count.
 */
export function overdueSince({ dueSince, lastRunAt, pausedAt }: MirrorRecord, now: Date): Date | undefined {
  const at = now.toISOString();
  if (dueSince === undefined || dueSince > at || pausedAt !== undefined) return undefined;
  if (lastRunAt !== undefined && lastRunAt >= dueSince && lastRunAt <= at) return undefined;
  return new Date(dueSince);
}

const namespaceOf = (mirror: string): string => `mirror:${mirror}`;
