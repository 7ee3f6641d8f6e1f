import type { Outcome } from "../../sync/report.ts";
import type { StateStore } from "../state/state-store.ts";
import type { RecordsOptions, TagRecord } from "./record-types.ts";

const HISTORY_KEPT = 10;

/** What every tag points at, and did. */
export type TagRecords = {
  note(outcome: Outcome): Promise<void>;
  of(mirror: string): Promise<readonly TagRecord[]>;
  get(mirror: string, tag: string): Promise<TagRecord | undefined>;
};

export function openTagRecords(store: StateStore, { now }: RecordsOptions): TagRecords {
  async function get(mirror: string, tag: string): Promise<TagRecord | undefined> {
    const text = await store.get(`tags:${mirror}`, tag);
    return text === undefined ? undefined : (JSON.parse(text) as TagRecord);
  }
  return {
    get,
    async note(outcome) {
      const namespace = `tags:${outcome.mirror}`;
      if (outcome.kind === "pruned") return store.remove(namespace, [outcome.tag]);
      const known = await get(outcome.mirror, outcome.tag);
      const record = renewed(outcome, known, now().toISOString());
      return store.set(namespace, { [outcome.tag]: JSON.stringify(record) });
    },
    async of(mirror) {
      const texts = [...(await store.all(`tags:${mirror}`)).values()];
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
