import { parseRecord } from "../queue/job-schema.ts";
import { crashKeyOf, type Job, workKeyOf } from "../queue/job.ts";
import type { StateStore } from "../state/state-store.ts";
import { quarantineSchema } from "./record-schemas.ts";
import type { RecordsOptions, Quarantine } from "./record-types.ts";

const CRASHES_MAX = 3;
/** A count that was not removed, because Redis was away when its job ended, expires after this time. */
const COUNTED_MS = 6 * 3_600_000;

/** Counts jobs that started and never ended, because their worker crashed. After three crashes a job is quarantined. */
export type CrashRecords = {
  /** Counts the start of a job. Returns its quarantine, if there is one. */
  enter(job: Job): Promise<Quarantine | undefined>;
  /** The job has ended, with or without success. */
  leave(job: Job): Promise<void>;
  quarantined(): Promise<readonly Quarantine[]>;
  /** Ends the quarantines of a mirror. */
  release(mirror: string): Promise<void>;
};

export function openCrashRecords(store: StateStore, { now, notify }: RecordsOptions): CrashRecords {
  async function quarantined(): Promise<readonly Quarantine[]> {
    const texts = [...(await store.all("quarantine")).values()];
    return texts.flatMap((text) => parseRecord(quarantineSchema, text) ?? []);
  }
  return {
    async enter(job) {
      const key = workKeyOf(job);
      const known = parseRecord(quarantineSchema, await store.get("quarantine", key));
      if (known) return known;
      const namespace = namespaceOf(job);
      const begun = await store.add(namespace, "count", 1);
      await store.set(namespace, { at: now().toISOString() }, { ttlMs: COUNTED_MS });
      if (begun <= CRASHES_MAX) return undefined;
      const [first, ...others] = job.kind === "apply" ? job.actions : [];
      const quarantine: Quarantine = {
        mirror: job.mirror,
        key,
        since: now().toISOString(),
        crashes: begun - 1,
        ...(first && others.length === 0 ? { tag: first.tag } : {}),
      };
      await store.set("quarantine", { [key]: JSON.stringify(quarantine) });
      await notify({ kind: "mirror", mirror: job.mirror });
      return quarantine;
    },
    leave: (job) => store.remove(namespaceOf(job)),
    quarantined,
    async release(mirror) {
      const keys = (await quarantined()).filter((one) => one.mirror === mirror).map(({ key }) => key);
      await store.remove("quarantine", keys);
      // an apply is counted under the key of its quarantine; a check is counted per run, and a new run counts from 0
      for (const key of keys) await store.remove(`begun:${key}`);
      await notify({ kind: "mirror", mirror });
    },
  };
}

const namespaceOf = (job: Job): string => `begun:${crashKeyOf(job)}`;
