import { describe, expect, test } from "vitest";

import { openRunRecords, type RunRecords } from "../../../src/daemon/records/runs.ts";
import { inProcessStateStore, type StateStore } from "../../../src/daemon/state/state-store.ts";
import type { Outcome } from "../../../src/sync/report.ts";

const DIGEST = `sha256:${"a".repeat(64)}` as const;
const MIRROR = "app";

function unchanged(tag: string): Outcome {
  return { kind: "unchanged", mirror: MIRROR, tag, digest: DIGEST };
}

function open(store: StateStore = inProcessStateStore()): RunRecords {
  let clock = Date.parse("2026-03-01T12:00:00Z");
  return openRunRecords(store, {
    now: () => new Date((clock += 1_000)),
    notify: async () => {},
    onFinished: async () => {},
  });
}

/** A run that is due at this minute and waits for these tags. */
async function begun(runs: RunRecords, minute: number, tags: readonly string[]): Promise<string> {
  const dueAt = `2026-03-01T11:${minute}:00.000Z`;
  const id = `${MIRROR}@${dueAt}`;
  await runs.begin({ id, mirror: MIRROR, cause: "schedule", dueAt });
  await runs.expect(id, tags, []);
  return id;
}

const finished = async (runs: RunRecords): Promise<string[]> => (await runs.of(MIRROR)).map(({ id }) => id);

describe("a run whose work was replaced by a later one's", () => {
  test("ends with the tags of the later one", async () => {
    const runs = open();
    const first = await begun(runs, 10, ["1", "2"]);
    await runs.outcome(first, unchanged("1"));
    const later = await begun(runs, 20, ["2"]);
    await runs.outcome(later, unchanged("2"));
    expect(await finished(runs)).toEqual([later, first]);
    expect((await runs.of(MIRROR)).map(({ state }) => state)).toEqual(["done", "done"]);
  });

  test("does not end with tags that it does not wait for", async () => {
    const runs = open();
    const first = await begun(runs, 10, ["1", "2"]);
    await runs.outcome(first, unchanged("1"));
    const later = await begun(runs, 20, ["3", "4"]);
    for (const tag of ["3", "4"]) await runs.outcome(later, unchanged(tag));
    expect(await finished(runs)).toEqual([later]);
    expect((await runs.read(first))?.outcomes.map(({ tag }) => tag)).toEqual(["1"]);
  });

  test("keeps what became of a tag in its own time", async () => {
    const runs = open();
    const first = await begun(runs, 10, ["1", "2"]);
    await runs.outcome(first, { kind: "unchanged", mirror: MIRROR, tag: "1", digest: DIGEST });
    const later = await begun(runs, 20, ["1"]);
    const other = `sha256:${"b".repeat(64)}` as const;
    await runs.outcome(later, { kind: "unchanged", mirror: MIRROR, tag: "1", digest: other });
    expect((await runs.read(first))?.outcomes).toMatchObject([{ tag: "1", digest: DIGEST }]);
  });
});

test("an earlier run's tags are nothing to a later one", async () => {
  const runs = open();
  const first = await begun(runs, 10, ["1"]);
  const later = await begun(runs, 20, ["1"]);
  await runs.outcome(first, unchanged("1"));
  expect(await finished(runs)).toEqual([first]);
  expect((await runs.read(later))?.state).toBe("running");
});

/** Finishes so many runs of a mirror, one after the other. */
async function finish(runs: RunRecords, mirror: string, count: number): Promise<void> {
  for (let minute = 0; minute < count; minute += 1) {
    const dueAt = new Date(Date.parse("2026-03-01T11:00:00Z") + minute * 60_000).toISOString();
    const id = `${mirror}@${dueAt}`;
    await runs.begin({ id, mirror, cause: "schedule", dueAt });
    await runs.expect(id, [], []);
  }
}

test("the last 20 runs of a mirror are kept, and what others wrote there is removed", async () => {
  const store = inProcessStateStore();
  const runs = open(store);
  await store.set(`runs:${MIRROR}`, { junk: "{}", zzz: "junk" });
  await finish(runs, MIRROR, 25);
  expect((await store.all(`runs:${MIRROR}`)).size).toBe(20);
  expect((await finished(runs))[0]).toBe(`${MIRROR}@2026-03-01T11:24:00.000Z`);
  expect(await runs.of(MIRROR, 2)).toHaveLength(2);
});

test("the last runs of many mirrors cost as many reads as are asked for", async () => {
  const store = inProcessStateStore();
  let reads = 0;
  const counting: StateStore = {
    ...store,
    all: (namespace) => ((reads += 1), store.all(namespace)),
    get: (namespace, field) => ((reads += 1), store.get(namespace, field)),
  };
  const runs = open(counting);
  for (let mirror = 0; mirror < 100; mirror += 1) await finish(runs, `app${mirror}`, 5);
  reads = 0;
  const last = await runs.recent(50);
  expect(last.map(({ mirror }) => mirror)).toEqual(
    Array.from({ length: 50 }, (_, at) => `app${99 - Math.floor(at / 5)}`),
  );
  expect(reads).toBe(51);
  expect((await store.all("recent")).size).toBeLessThan(400);
});
