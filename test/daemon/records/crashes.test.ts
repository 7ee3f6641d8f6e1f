import { expect, test } from "vitest";

import type { CheckJob } from "../../../src/daemon/queue/job.ts";
import { openCrashRecords } from "../../../src/daemon/records/crashes.ts";
import { inProcessStateStore } from "../../../src/daemon/state/state-store.ts";

const check = (dueAt: string): CheckJob => ({
  kind: "check",
  mirror: "app",
  run: `app@${dueAt}`,
  dueAt,
  cause: "schedule",
});

function open(): ReturnType<typeof openCrashRecords> {
  return openCrashRecords(inProcessStateStore(), { now: () => new Date(), notify: async () => {} });
}

test("checks of one mirror that overlap are no crashes", async () => {
  const crashes = open();
  for (const dueAt of ["1", "2", "3", "4", "5", "6"])
    expect(await crashes.enter(check(dueAt))).toBeUndefined();
  expect(await crashes.quarantined()).toEqual([]);
});

test("a check that was begun four times and never ended quarantines its mirror, until it is released", async () => {
  const crashes = open();
  for (let time = 0; time < 3; time += 1) expect(await crashes.enter(check("1"))).toBeUndefined();
  expect(await crashes.enter(check("1"))).toMatchObject({ mirror: "app", crashes: 3 });
  expect(await crashes.enter(check("2"))).toMatchObject({ mirror: "app" });
  await crashes.release("app");
  expect(await crashes.enter(check("3"))).toBeUndefined();
});

test("a job that ended is not counted, however often it comes", async () => {
  const crashes = open();
  for (let time = 0; time < 10; time += 1) {
    expect(await crashes.enter(check("1"))).toBeUndefined();
    await crashes.leave(check("1"));
  }
});
