import type { Outcome } from "../sync/report.ts";
import type { BookOptions, TagRecord } from "./record.ts";
import type { Shelf } from "./shelf.ts";

const HISTORY_KEPT = 10;

/** What every tag points at, and did. */
export type Tags = {
  note(outcome: Outcome): Promise<void>;
  of(mirror: string): Promise<readonly TagRecord[]>;
  get(mirror: string, tag: string): Promise<TagRecord | undefined>;
};

export function openTags(shelf: Shelf, { now }: BookOptions): Tags {
  async function get(mirror: string, tag: string): Promise<TagRecord | undefined> {
    const text = await shelf.get(`tags:${mirror}`, tag);
    return text === undefined ? undefined : (JSON.parse(text) as TagRecord);
  }
  return {
    get,
    async note(outcome) {
      const place = `tags:${outcome.mirror}`;
      if (outcome.kind === "pruned") return shelf.remove(place, [outcome.tag]);
      const known = await get(outcome.mirror, outcome.tag);
      const record = renewed(outcome, known, now().toISOString());
      return shelf.put(place, { [outcome.tag]: JSON.stringify(record) });
    },
    async of(mirror) {
      const texts = [...(await shelf.all(`tags:${mirror}`)).values()];
      return texts.map((text) => JSON.parse(text) as TagRecord);
    },
  };
}

function renewed(outcome: Outcome, known: TagRecord | undefined, at: string): TagRecord {
  const digest = "digest" in outcome ? outcome.digest : known?.digest;
  const flipped = digest !== undefined && digest !== known?.digest;
  const history = [...(flipped ? [{ digest, at }] : []), ...(known?.history ?? [])];
  const publishedAt = flipped && outcome.kind !== "unchanged" ? at : known?.publishedAt;
  return {
    tag: outcome.tag,
    checkedAt: at,
    last: outcome.kind,
    history: history.slice(0, HISTORY_KEPT),
    ...(digest === undefined ? {} : { digest }),
    ...(publishedAt === undefined ? {} : { publishedAt }),
    ...("failure" in outcome ? { failure: outcome.failure } : {}),
  };
}
