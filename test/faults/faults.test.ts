import { expect, test } from "vitest";

import { temporaryDirectory } from "../support/temporary.ts";
import { renderBroken, renderResults } from "./report.ts";
import { FORMS } from "./run.ts";
import { runScenarios } from "./runner.ts";

/**
 * A fixed part of the fault runs. The long form is `npm run faults -- --scenarios 2000 --seed N --parallel 2`. It
 * prints for each violation the line that replays it.
 */
const SEED = "ci-1";
const SCENARIOS = 72;

test(
  "nothing wrong is written, nothing stays behind or goes back, and every exit is true, whatever registries, disks and kills do",
  { timeout: 900_000 },
  async () => {
    await using directory = await temporaryDirectory();
    const results = await runScenarios({
      seed: SEED,
      from: 0,
      scenarios: SCENARIOS,
      batch: 6,
      parallel: 2,
      form: FORMS.short,
      out: directory.join("ledgers"),
    });
    console.log(renderResults(results));
    const broken = results.filter(({ violations }) => violations.length > 0);
    expect(broken.map(renderBroken).join("\n")).toBe("");
    expect(results).toHaveLength(SCENARIOS);
  },
);
