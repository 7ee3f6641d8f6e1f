import { crashKeyOf, type Job, workKeyOf } from "./job.ts";
import type { BookOptions, Quarantine } from "./record.ts";
import type { Shelf } from "./shelf.ts";

const CRASHES_MAX = 3;
/** A count that nobody took back (Redis was away when its job ended) is forgotten after so long. */
const COUNTED_MS = 6 * 3_600_000;

/** Jobs that were begun and never ended: they took their workers with them. After three times a job is left alone. */
export type Crashes = {
  /** Counts a job as begun; tells of its quarantine. */
  enter(job: Job): Promise<Quarantine | undefined>;
  /** It ended, well or not. */
  leave(job: Job): Promise<void>;
  quarantined(): Promise<readonly Quarantine[]>;
  /** Gives the jobs of a mirror another chance. */
  release(mirror: string): Promise<void>;
};

export function openCrashes(shelf: Shelf, { now, tell }: BookOptions): Crashes {
  async function quarantined(): Promise<readonly Quarantine[]> {
    return [...(await shelf.all("quarantine")).values()].map((text) => JSON.parse(text) as Quarantine);
  }
  return {
    async enter(job) {
      const key = workKeyOf(job);
      const known = await shelf.get("quarantine", key);
      if (known !== undefined) return JSON.parse(known) as Quarantine;
      const place = placeOf(job);
      const begun = await shelf.add(place, "count", 1);
      await shelf.put(place, { at: now().toISOString() }, { keepMs: COUNTED_MS });
      if (begun <= CRASHES_MAX) return undefined;
      const [first, ...others] = job.kind === "apply" ? job.actions : [];
      const quarantine: Quarantine = {
        mirror: job.mirror,
        key,
        since: now().toISOString(),
        crashes: begun - 1,
        ...(first && others.length === 0 ? { tag: first.tag } : {}),
      };
      await shelf.put("quarantine", { [key]: JSON.stringify(quarantine) });
      await tell({ kind: "mirror", mirror: job.mirror });
      return quarantine;
    },
    leave: (job) => shelf.remove(placeOf(job)),
    quarantined,
    async release(mirror) {
      const keys = (await quarantined()).filter((one) => one.mirror === mirror).map(({ key }) => key);
      await shelf.remove("quarantine", keys);
      // the jobs themselves were counted under the same keys, but for checks: each of those has its own
      for (const key of keys) await shelf.remove(`begun:${key}`);
      await tell({ kind: "mirror", mirror });
    },
  };
}

const placeOf = (job: Job): string => `begun:${crashKeyOf(job)}`;
