import { expect, test } from "vitest";

import { openDayRecords } from "../../../src/daemon/records/days.ts";
import { inProcessStateStore } from "../../../src/daemon/state/state-store.ts";

function open() {
  const store = inProcessStateStore();
  let at = Date.parse("2026-11-24T12:30:00Z");
  const days = openDayRecords(store, { now: () => new Date(at) });
  return { store, days, later: (hours: number) => void (at += hours * 3_600_000) };
}

test("the work of a day is counted by hour, of a mirror and of all, with the slowest tag of each hour", async () => {
  const { days, later } = open();
  await days.note("a", { bytes: 100, published: 1, freshnessMs: 5_000 });
  await days.note("a", { bytes: 50, published: 2, freshnessMs: 3_000 });
  await days.note("b", { bytes: 7, published: 1 });
  later(2);
  await days.note("a", { bytes: 1, published: 1 });
  const hours = await days.of("a");
  expect(hours).toHaveLength(24);
  expect(hours.filter(({ published }) => published > 0)).toEqual([
    { from: "2026-11-24T12:00:00.000Z", bytes: 150, published: 3, freshnessMs: 5_000 },
    { from: "2026-11-24T14:00:00.000Z", bytes: 1, published: 1 },
  ]);
  expect((await days.of()).map(({ bytes }) => bytes).slice(-3)).toEqual([157, 0, 1]);
});

test("what is older than a day is shown no longer and removed, and work without effect is not noted", async () => {
  const { days, store, later } = open();
  await days.note("a", { bytes: 100, published: 1 });
  later(24);
  expect((await days.of("a")).some(({ bytes }) => bytes > 0)).toBe(false);
  await days.note("a", { bytes: 0, published: 0 });
  expect((await store.all("day:a")).size).toBe(3);
  await days.note("a", { bytes: 5, published: 1 });
  expect([...(await store.all("day:a")).keys()].toSorted()).toEqual([
    "2026-11-25T12 bytes",
    "2026-11-25T12 published",
    "last",
  ]);
});

test("what others wrote there counts as nothing", async () => {
  const { days, store } = open();
  await store.set("day:a", { "2026-11-24T12 bytes": "1e999", "2026-11-24T12 published": "-4", x: "y" });
  expect((await days.of("a")).at(-1)).toEqual({ from: "2026-11-24T12:00:00.000Z", bytes: 0, published: 0 });
});
