import type { Outcome } from "../../sync/report.ts";
import { parseRecord } from "../queue/job-schema.ts";
import { LARGEST, type StateStore } from "../state/state-store.ts";
import { tagRecordSchema } from "./record-schemas.ts";
import type { RecordsOptions, TagOutcome, TagRecord } from "./record-types.ts";

const HISTORY_KEPT = 10;

/** The digest and the last outcome of every tag. The only writer of `tags:NAME` and `readings:NAME`. */
export type TagRecords = {
  /**
   * Records an outcome. `reading`: the reading of the source that it results from (see `MirrorRecords.nextReading`).
   *
   * `behind`: the target may be older than the source. A later reading was confirmed meanwhile, or another image was
   * published than this check found. The mirror must be checked again.
   */
  note(outcome: Outcome, reading: number): Promise<"noted" | "behind">;
  /** The latest reading that was published or found in place, of each tag. */
  confirmed(mirror: string): Promise<ReadonlyMap<string, number>>;
  of(mirror: string): Promise<readonly TagRecord[]>;
  get(mirror: string, tag: string): Promise<TagRecord | undefined>;
};

export type TagRecordsOptions = RecordsOptions & {
  readonly nextReading: (mirror: string) => Promise<number>;
};

export function openTagRecords(store: StateStore, { now, nextReading }: TagRecordsOptions): TagRecords {
  const get = async (mirror: string, tag: string): Promise<TagRecord | undefined> =>
    parseRecord(tagRecordSchema, await store.get(tagsOf(mirror), tag));

  async function confirm({ mirror, tag, kind }: TagOutcome, reading: number): Promise<"newest" | "older"> {
    if (kind === "failed" || kind === "refused") return "newest"; // nothing was confirmed
    const newest = await store.raise(readingsOf(mirror), tag, { atLeast: reading, step: 0 });
    return newest > reading ? "older" : "newest";
  }

  return {
    get,
    async note(outcome, reading) {
      if (outcome.kind === "pushed") return "noted"; // no tag was written
      const { mirror, tag } = outcome;
      const standing = await confirm(outcome, reading);
      if (standing === "older" && outcome.kind === "unchanged") return "noted"; // a later reading is recorded already
      if (outcome.kind === "pruned") {
        await store.remove(tagsOf(mirror), [tag]);
        return standing === "older" ? "behind" : "noted";
      }
      const known = await get(mirror, tag);
      const isPublished = outcome.kind === "copied" || outcome.kind === "imported";
      const published = isPublished ? { publishedBefore: await nextReading(mirror) } : {};
      const record = { ...renewed(outcome, known, { at: now().toISOString(), reading }), ...published };
      await store.set(tagsOf(mirror), { [tag]: JSON.stringify(record) });
      return standing === "older" || contradicts(outcome, known, reading) ? "behind" : "noted";
    },
    async confirmed(mirror) {
      const fields = [...(await store.all(readingsOf(mirror)))];
      // others may have written here too
      return new Map(fields.map(([tag, text]) => [tag, Number(text)] as const).filter(isReading));
    },
    async of(mirror) {
      const texts = [...(await store.all(tagsOf(mirror))).values()];
      return texts.flatMap((text) => parseRecord(tagRecordSchema, text) ?? []);
    },
  };
}

/**
 * Another image was published at the same time, by a job that ran during the check, or by a worker that had lost its
 * job without noticing. It is not known which image was last.
 */
function contradicts(outcome: TagOutcome, known: TagRecord | undefined, reading: number): boolean {
  if (!("digest" in outcome) || known?.digest === undefined || known.digest === outcome.digest) return false;
  return outcome.kind === "unchanged" || (known.publishedBefore ?? 0) > reading;
}

type Noted = { readonly at: string; readonly reading: number };

function renewed(outcome: TagOutcome, known: TagRecord | undefined, { at, reading }: Noted): TagRecord {
  const digest = "digest" in outcome ? outcome.digest : known?.digest;
  const flipped = digest !== undefined && digest !== known?.digest;
  const history = [...(flipped ? [{ digest, at }] : []), ...(known?.history ?? [])];
  const publishedAt = publishedAtOf(outcome, known, { flipped, at });
  const image = imageOf(outcome, flipped ? undefined : known?.image);
  const readAt = "digest" in outcome ? dateOf(reading) : known?.readAt;
  return {
    tag: outcome.tag,
    checkedAt: at,
    last: outcome.kind,
    history: history.slice(0, HISTORY_KEPT),
    ...(digest === undefined ? {} : { digest }),
    ...(publishedAt === undefined ? {} : { publishedAt }),
    ...(readAt === undefined ? {} : { readAt }),
    ...(known?.publishedBefore === undefined ? {} : { publishedBefore: known.publishedBefore }),
    ...("failure" in outcome ? { failure: outcome.failure } : {}),
    ...(image ? { image } : {}),
  };
}

const isReading = ([, reading]: readonly [string, number]): boolean => reading >= 0 && reading < LARGEST;

/** When this was published; else since when the target says that it is there; undefined when nobody tells. */
function publishedAtOf(
  outcome: Outcome,
  known: TagRecord | undefined,
  { flipped, at }: { readonly flipped: boolean; readonly at: string },
): string | undefined {
  if (outcome.kind === "unchanged") return (flipped ? undefined : known?.publishedAt) ?? outcome.since;
  return flipped ? at : known?.publishedAt;
}

/** A later outcome that says less than an earlier one takes nothing away. */
function imageOf(outcome: Outcome, known: TagRecord["image"]): TagRecord["image"] {
  if ("moved" in outcome) {
    const { image = known, referrers } = outcome.moved;
    // `healed` counts only what was sent again
    const counted = outcome.kind === "copied" && outcome.healed ? known?.referrers : referrers;
    return image && { ...image, ...(counted === undefined ? {} : { referrers: counted }) };
  }
  if (outcome.kind === "unchanged" && outcome.image) return { ...known, ...outcome.image };
  return known;
}

function dateOf(reading: number): string | undefined {
  const date = new Date(reading);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

const tagsOf = (mirror: string): string => `tags:${mirror}`;
const readingsOf = (mirror: string): string => `readings:${mirror}`;
