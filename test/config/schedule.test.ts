import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { loadConfig } from "../../src/config/file/load.ts";
import { checkSchedules } from "../../src/daemon/triggers/check-schedules.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { due, testRows, type Row } from "./scene.ts";

const ROWS: readonly Row[] = [
  { row: "A39 a day that never comes", text: due('schedule: "0 0 31 2 *"'), expected: ["CONFIG_CRON 6:15"] },
  { row: "A39 an hour that is none", text: due('schedule: "0 25 * * *"'), expected: ["CONFIG_CRON 6:15"] },
  { row: "A39 one field", text: due("schedule: hourly"), expected: ["CONFIG_CRON 6:15"] },
  { row: "A39 jitter without schedule", text: due("jitter: 5s"), expected: ["CONFIG_CRON 6:5"] },
  {
    row: "A41 a time zone that is none",
    text: due('schedule: "0 * * * *"\ntimeZone: Europe/Atlantis'),
    expected: ["CONFIG_TIME_ZONE 7:15"],
  },
];

describe("a schedule that is refused", () => {
  testRows(ROWS);
});

test("A39 warns of a schedule with both day fields, which crontab would join with OR", async () => {
  await using directory = await temporaryDirectory();
  writeFileSync(join(directory.path, "tagferry.yaml"), due('schedule: "0 0 1 * 1"'));
  const { config, warnings } = await loadConfig({
    env: {},
    directory: directory.path,
    checks: [checkSchedules],
  });
  expect(warnings.map(({ code }) => code)).toEqual(["CONFIG_CRON_BOTH_DAYS"]);
  expect(config.mirrors[0]?.schedule).toEqual({ cron: "0 0 1 * 1", timeZone: "UTC", jitterMs: 0 });
});
