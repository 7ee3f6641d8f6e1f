import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { renderBroken, renderResults } from "./report.ts";
import { runScenarios } from "./runner.ts";
import type { Form } from "./scenario/world.ts";

/** `short` runs in CI. `long` has slow faults, large layers and daemons that run longer. */
export const FORMS = {
  short: {
    slow: 0.05,
    large: false,
    altered: false,
    calm: false,
    awaitDead: false,
    others: 0.02,
    churnMs: 8_000,
    redis: 0.25,
  },
  long: {
    slow: 0.5,
    large: true,
    altered: false,
    calm: false,
    awaitDead: true,
    others: 0.15,
    churnMs: 20_000,
    redis: 0.35,
  },
} as const satisfies Record<string, Form>;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      scenarios: { type: "string", default: "2000" },
      from: { type: "string", default: "0" },
      batch: { type: "string", default: "2" },
      parallel: { type: "string", default: "2" },
      out: { type: "string", default: join(tmpdir(), "faults-ledgers") },
      only: { type: "string" },
      short: { type: "boolean", default: false },
      altered: { type: "boolean", default: false },
      calm: { type: "boolean", default: false },
      ignore: { type: "string", multiple: true, default: [] },
    },
  });
  const { seed, out, only } = values;
  const form = { ...(values.short ? FORMS.short : FORMS.long), altered: values.altered, calm: values.calm };
  const scenarios = Number(values.scenarios);
  const results = await runScenarios({
    seed,
    out,
    form,
    scenarios,
    from: Number(values.from),
    batch: Number(values.batch),
    parallel: Number(values.parallel),
    ignore: values.ignore,
    ...(only === "sync" || only === "daemon" ? { only } : {}),
    onBatch: (done, found) => {
      const broken = found.filter(({ violations }) => violations.length > 0);
      for (const result of broken) console.log(renderBroken(result));
      console.log(`${done} of ${scenarios} scenarios`);
    },
  });
  console.log(renderResults(results));
  process.exitCode = results.some(({ violations }) => violations.length > 0) ? 1 : 0;
}

if (import.meta.main) await main();
