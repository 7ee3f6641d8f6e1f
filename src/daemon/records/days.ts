import type { StateStore } from "../state/state-store.ts";
import type { HourOfWork, RecordsOptions } from "./record-types.ts";

/** What one job did. */
export type JobWork = {
  /** Sent to the target. */
  readonly bytes: number;
  /** Tags that were published. */
  readonly published: number;
  /** From the earliest time at which the source can have moved to the publication, of the slowest tag. */
  readonly freshnessMs?: number | undefined;
};

/** The work of the last 24 hours, hour by hour. The only writer of `day:NAME` and `days` (of all mirrors). */
export type DayRecords = {
  note(mirror: string, work: JobWork): Promise<void>;
  /** 24 entries, the oldest first. Without a mirror: of all mirrors. */
  of(mirror?: string): Promise<readonly HourOfWork[]>;
};

const HOUR_MS = 3_600_000;
const HOURS = 24;
const KEPT_MS = (HOURS + 2) * HOUR_MS;

export function openDayRecords(store: StateStore, { now }: Pick<RecordsOptions, "now">): DayRecords {
  async function noteIn(namespace: string, { bytes, published, freshnessMs }: JobWork): Promise<void> {
    const hour = hourOf(now());
    await store.add(namespace, `${hour} bytes`, Math.round(bytes));
    const tags = await store.add(namespace, `${hour} published`, published);
    if (freshnessMs !== undefined && freshnessMs >= 0)
      await store.raise(namespace, `${hour} freshnessMs`, { atLeast: Math.round(freshnessMs), step: 0 });
    await store.set(namespace, { last: hour }, { ttlMs: KEPT_MS });
    if (tags <= published) await trim(namespace); // the first of its hour
  }

  async function trim(namespace: string): Promise<void> {
    const hours = new Set(lastHours(now()));
    const fields = [...(await store.all(namespace)).keys()];
    const old = fields.filter((field) => field !== "last" && !hours.has(field.split(" ")[0] ?? ""));
    await store.remove(namespace, old);
  }

  return {
    async note(mirror, work) {
      if (work.bytes === 0 && work.published === 0) return;
      await Promise.all([noteIn(dayOf(mirror), work), noteIn(ALL, work)]);
    },
    async of(mirror) {
      const fields = await store.all(mirror === undefined ? ALL : dayOf(mirror));
      return lastHours(now()).map((hour) => {
        const freshnessMs = countIn(fields.get(`${hour} freshnessMs`));
        return {
          from: `${hour}:00:00.000Z`,
          bytes: countIn(fields.get(`${hour} bytes`)) ?? 0,
          published: countIn(fields.get(`${hour} published`)) ?? 0,
          ...(freshnessMs === undefined ? {} : { freshnessMs }),
        };
      });
    },
  };
}

/** `2026-11-24T21`, in UTC. */
function hourOf(at: Date): string {
  return at.toISOString().slice(0, 13);
}

/** The oldest first. */
function lastHours(now: Date): readonly string[] {
  return Array.from({ length: HOURS }, (_, index) =>
    hourOf(new Date(now.getTime() - (HOURS - 1 - index) * HOUR_MS)),
  );
}

/** Others may have written anything. */
function countIn(text: string | undefined): number | undefined {
  const count = Number(text);
  return text !== undefined && Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}

const ALL = "days";
const dayOf = (mirror: string): string => `day:${mirror}`;
