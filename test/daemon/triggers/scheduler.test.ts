import { expect, test } from "vitest";

import { inProcessQueue } from "../../../src/daemon/queue/in-process.ts";
import type { Job } from "../../../src/daemon/queue/job.ts";
import { openRecords } from "../../../src/daemon/records/records.ts";
import { inProcessStateStore } from "../../../src/daemon/state/state-store.ts";
import { openScheduler } from "../../../src/daemon/triggers/scheduler.ts";
import { mirrorOf } from "../../plan/mirror.ts";
import { SILENT } from "../../support/registry/client.ts";
import { type SteppedClock, steppedClock } from "../../support/stepped-clock.ts";

type Opened = Disposable & {
  readonly clock: SteppedClock;
  readonly checks: () => string[];
  readonly missed: string[];
};

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Advances minute by minute, so that each check ends before the next due time. */
async function pass({ clock }: Opened, minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute += 1) {
    clock.pass(1);
    await settled();
  }
}

/** A scheduler with one mirror that was checked at noon. `checks` are the due times since then. */
async function open(cron = "*/10 * * * *"): Promise<Opened> {
  const clock = steppedClock(new Date("2026-03-01T12:00:00Z"));
  const queue = inProcessQueue();
  const jobs: Job[] = [];
  queue.work(async (job) => void jobs.push(job), {
    checks: () => 4,
    applies: 1,
    onBroken: () => {},
  });
  const missed: string[] = [];
  const scheduler = openScheduler({
    clock,
    queue,
    records: openRecords(inProcessStateStore(), { now: () => clock.now() }),
    log: SILENT,
    forgetful: true,
    onMissed: (mirror) => void missed.push(mirror),
  });
  scheduler.follow([mirrorOf({ name: "app", schedule: { cron, timeZone: "UTC", jitterMs: 0 } })]);
  await settled();
  jobs.length = 0;
  return {
    clock,
    missed,
    checks: () => jobs.map((job) => (job.kind === "check" ? job.dueAt.slice(5, 16) : "")),
    [Symbol.dispose]: () => scheduler[Symbol.dispose](),
  };
}

test("a mirror is due at each of its times", async () => {
  using opened = await open();
  await pass(opened, 25);
  expect(opened.checks()).toEqual(["03-01T12:10", "03-01T12:20"]);
  expect(opened.missed).toEqual([]);
});

test("a clock that is put back by an hour costs no hour: the times come again", async () => {
  using opened = await open();
  await pass(opened, 15);
  opened.clock.jump(-60);
  await pass(opened, 20);
  // now it is 11:35 again
  expect(opened.checks()).toEqual(["03-01T12:10", "03-01T11:20", "03-01T11:30"]);
  await pass(opened, 40);
  // 12:10 was checked before the jump, and is checked again
  expect(opened.checks().slice(3)).toEqual(["03-01T11:40", "03-01T11:50", "03-01T12:00", "03-01T12:10"]);
});

test("a clock that is put forward by a day makes a mirror due once, not 144 times", async () => {
  using opened = await open();
  opened.clock.jump(24 * 60 + 5);
  await settled();
  expect(opened.checks()).toEqual(["03-02T12:00"]);
  expect(opened.missed).toEqual(["app"]);
  await pass(opened, 5);
  expect(opened.checks()).toEqual(["03-02T12:00", "03-02T12:10"]);
});

test("a process that was stopped, or a machine that was suspended, catches up once", async () => {
  using opened = await open();
  opened.clock.sleep(65);
  await settled();
  expect(opened.checks()).toEqual(["03-01T13:00"]);
  opened.clock.suspend(60);
  await settled();
  expect(opened.checks()).toEqual(["03-01T13:00", "03-01T14:00"]);
  expect(opened.missed).toEqual(["app", "app"]);
});

test("clocks that go back and forth again and again leave every time due", async () => {
  using opened = await open();
  for (const minutes of [-30, 45, -600, 1_440, -5]) {
    opened.clock.jump(minutes);
    const before = opened.checks().length;
    await pass(opened, 30);
    expect(opened.checks().length - before).toBeGreaterThanOrEqual(3);
    expect(opened.checks().length - before).toBeLessThanOrEqual(4);
  }
});
