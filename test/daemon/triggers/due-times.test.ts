import { describe, expect, test } from "vitest";

import { openDueTimes } from "../../../src/daemon/triggers/due-times.ts";

function due(cron: string, timeZone: string, from: string, count: number): string[] {
  const times = openDueTimes({ cron, timeZone, jitterMs: 0 });
  const found: string[] = [];
  for (let at = times.next(new Date(from)); at && found.length < count; at = times.next(at))
    found.push(at.toISOString().slice(0, 16));
  return found;
}

/** Summer time in Berlin, 2026: from 29 March 01:00 UTC (02:00 becomes 03:00) to 25 October 01:00 UTC. */
const CHANGES: readonly {
  readonly what: string;
  readonly cron: string;
  readonly zone?: string;
  readonly from: string;
  readonly due: readonly string[];
}[] = [
  {
    what: "a time that is skipped in spring is due when the clocks have been put forward, once",
    cron: "30 2 * * *",
    from: "2026-03-27T12:00:00Z",
    due: ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"],
  },
  {
    what: "several skipped times are due once",
    cron: "*/15 2 * * *",
    from: "2026-03-28T22:00:00Z",
    due: ["2026-03-29T01:00", "2026-03-30T00:00", "2026-03-30T00:15"],
  },
  {
    what: "a time that comes twice in autumn is due once, at its first occurrence",
    cron: "30 2 * * *",
    from: "2026-10-24T12:00:00Z",
    due: ["2026-10-25T00:30", "2026-10-26T01:30"],
  },
  {
    what: "half hours go on in spring without a gap",
    cron: "*/30 * * * *",
    from: "2026-03-29T00:00:00Z",
    due: ["2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"],
  },
  {
    what: "half hours go on in autumn through the hour that comes twice",
    cron: "*/30 * * * *",
    from: "2026-10-24T23:59:00Z",
    due: ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"],
  },
  {
    what: "a zone whose clocks skip midnight is due at one",
    cron: "0 0 * * *",
    zone: "Asia/Beirut",
    from: "2026-03-28T12:00:00Z",
    due: ["2026-03-28T22:00", "2026-03-29T21:00"],
  },
  {
    what: "a zone that shifts by half an hour",
    cron: "45 1 * * *",
    zone: "Australia/Lord_Howe",
    from: "2026-04-04T00:00:00Z",
    due: ["2026-04-04T14:45", "2026-04-05T15:15"],
  },
  {
    what: "UTC knows no change",
    cron: "30 2 * * *",
    zone: "UTC",
    from: "2026-03-28T12:00:00Z",
    due: ["2026-03-29T02:30", "2026-03-30T02:30"],
  },
];

test.for(CHANGES)("$what", ({ cron, zone = "Europe/Berlin", from, due: expected }) => {
  expect(due(cron, zone, from, expected.length)).toEqual(expected);
});

describe("days", () => {
  test.for([
    { cron: "0 12 L * *", due: ["2026-01-31T12:00", "2026-02-28T12:00"] },
    { cron: "0 12 29 2 *", due: ["2028-02-29T12:00", "2032-02-29T12:00"] },
    { cron: "0 12 * * 1#2", due: ["2026-01-12T12:00", "2026-02-09T12:00"] },
    { cron: "0 0 1 1 *", due: ["2027-01-01T00:00", "2028-01-01T00:00"] },
    { cron: "15 10 * * MON-FRI", due: ["2026-01-05T10:15", "2026-01-06T10:15"] },
  ])("of $cron are node-cron's", ({ cron, due: expected }) => {
    expect(due(cron, "UTC", "2026-01-03T00:00:00Z", 2)).toEqual(expected);
  });
});

const latest = (cron: string, after: string, now: string): string | undefined =>
  openDueTimes({ cron, timeZone: "Europe/Berlin", jitterMs: 0 })
    .latest(new Date(after), new Date(now))
    ?.toISOString();

describe("the last due time of a span", () => {
  test("is the one nearest to its end", () => {
    expect(latest("*/5 * * * *", "2026-01-01T00:00:00Z", "2026-06-01T12:07:30Z")).toBe(
      "2026-06-01T12:05:00.000Z",
    );
    expect(latest("0 3 * * *", "2026-01-01T00:00:00Z", "2026-01-09T12:00:00Z")).toBe(
      "2026-01-09T02:00:00.000Z",
    );
  });

  test("is none when none is in it", () => {
    expect(latest("0 3 * * *", "2026-01-09T02:00:00Z", "2026-01-09T12:00:00Z")).toBeUndefined();
    expect(latest("0 3 * * *", "2026-01-09T12:00:00Z", "2026-01-09T02:00:00Z")).toBeUndefined();
  });

  test("costs no walk through a month: a thousand schedules ask a few zone offsets each", () => {
    let found = 0;
    for (let minute = 0; minute < 1_000; minute += 1)
      if (latest(`${minute % 60} ${minute % 24} 1 * *`, "2026-01-02T00:00:00Z", "2026-02-20T00:00:00Z"))
        found += 1;
    expect(found).toBe(1_000);
  });
});

test("mirrors with the same schedule share one parsed schedule", () => {
  const schedule = { cron: "*/7 * * * *", timeZone: "Europe/Berlin", jitterMs: 0 };
  expect(openDueTimes({ ...schedule, jitterMs: 60_000 })).toBe(openDueTimes(schedule));
  expect(openDueTimes({ ...schedule, timeZone: "UTC" })).not.toBe(openDueTimes(schedule));
});
