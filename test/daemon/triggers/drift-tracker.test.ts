import { afterEach, beforeEach, expect, test, vi } from "vitest";

import {
  type DriftTracker,
  openDriftTracker,
  type Seen,
} from "../../../src/daemon/triggers/drift-tracker.ts";
import { SILENT } from "../../support/registry/client.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const DRIFTED: Seen = { kind: "stream", drift: [{ tag: "1" }], owns: true, version: "2" };
const WELL: Seen = { kind: "stream", drift: [], owns: true, version: "3" };

type Opened = Disposable & {
  readonly tracker: DriftTracker;
  /** The occasions of the checks that were requested. */
  readonly asked: string[];
  /** What the stream shows when it is read, and whether a run is in progress. */
  readonly world: { stream: Seen; isOpen: boolean };
};

function open(): Opened {
  const asked: string[] = [];
  const world = { stream: DRIFTED, isOpen: false };
  const tracker = openDriftTracker(
    {
      requestCheck: async (_mirror, _cause, { occasion = "" } = {}) => (asked.push(occasion), "queued"),
      isOpen: async () => world.isOpen,
      log: SILENT,
      now: () => new Date(),
      settleMs: 100,
      restMs: 1_000,
    },
    async () => world.stream,
  );
  return { tracker, asked, world, [Symbol.dispose]: () => tracker[Symbol.dispose]() };
}

test("a change by somebody else makes the mirror due once", async () => {
  using opened = open();
  opened.tracker.note("app", DRIFTED);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(opened.asked).toEqual(["stream-2"]);
});

test("a change that the stream no longer shows is nothing: the watch reported it late", async () => {
  using opened = open();
  opened.world.stream = WELL;
  opened.tracker.note("app", DRIFTED);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(opened.asked).toEqual([]);
});

test("while a run of the mirror is in progress nobody is accused", async () => {
  using opened = open();
  opened.world.isOpen = true;
  opened.tracker.note("app", DRIFTED);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(opened.asked).toEqual([]);
  opened.world.isOpen = false;
  opened.world.stream = WELL;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(opened.asked).toEqual([]);
});

test("a change by somebody else during a run is noticed after it", async () => {
  using opened = open();
  opened.world.isOpen = true;
  opened.tracker.note("app", DRIFTED);
  await vi.advanceTimersByTimeAsync(60_000);
  opened.world.isOpen = false;
  await vi.advanceTimersByTimeAsync(200);
  expect(opened.asked).toEqual(["stream-2"]);
});

test("a run that was lost, and never ends, hides nothing for longer than ten minutes", async () => {
  using opened = open();
  opened.world.isOpen = true;
  opened.tracker.note("app", DRIFTED);
  await vi.advanceTimersByTimeAsync(9 * 60_000);
  expect(opened.asked).toEqual([]);
  await vi.advanceTimersByTimeAsync(2 * 60_000);
  expect(opened.asked).toEqual(["stream-2"]);
});

test("a stream that is gone is a change only for a mirror that published into it", async () => {
  using opened = open();
  opened.world.stream = { kind: "gone", version: "" };
  opened.tracker.note("stranger", { kind: "gone", version: "4" });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(opened.asked).toEqual([]);
  opened.tracker.note("app", WELL);
  opened.tracker.note("app", { kind: "gone", version: "5" });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(opened.asked).toEqual(["stream-5"]);
});
