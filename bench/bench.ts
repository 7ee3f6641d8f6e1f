/**
 * Measures `tagferry` beside `skopeo`, in turn, on the same registries and the same images.
 *
 *     npm run bench                          # everything, 3 rounds after one that warms up
 *     npm run bench -- --quick               # smaller, 1 round: does it work?
 *     npm run bench -- --only TLS --rounds 5
 *     npm run bench -- --only start --rounds 5
 *
 * What is measured is what is installed: the built form, made anew. Ratios travel to other machines, seconds do not. Results are kept in bench/results. Ends with 1 when a limit was passed.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { openInstallation } from "../test/support/installation.ts";
import { measure } from "./measure.ts";
import { renderReport, type Sample } from "./report.ts";
import { type Prepared, type Scenario, scenarios } from "./scenarios.ts";
import { openWorkspace } from "./servers.ts";
import { measureStartUp, renderStartUp, START_UP } from "./start-up.ts";
import { commandOf, type Tool } from "./tools.ts";

const RESULTS = new URL("results/", import.meta.url).pathname;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string", default: "" },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
const chosen = scenarios(values).filter(({ name }) => name.includes(values.only));

await using installation = await openInstallation();
const { bin } = installation;
const samples: Sample[] = [];
for (const scenario of chosen) samples.push(...(await runScenario(scenario)));
const starts = START_UP.includes(values.only) ? await measureStartUp({ built: bin, rounds: rounds * 5 }) : [];
const tables = [
  samples.length > 0 ? renderReport(samples) : "",
  starts.length > 0 ? renderStartUp(starts) : "",
];
const table = tables.filter((part) => part !== "").join("\n\n");
const passed = chosen.flatMap((scenario) => limitsPassed(scenario, samples));
process.stdout.write(`${table}\n${passed.map((line) => `\n${line}`).join("")}\n`);
await mkdir(RESULTS, { recursive: true });
const stamp = new Date().toISOString().replaceAll(":", "-").slice(0, 19);
await writeFile(join(RESULTS, `${stamp}.txt`), `${table}\n`);
await writeFile(
  join(RESULTS, `${stamp}.json`),
  JSON.stringify({ ...values, rounds, samples, starts }, undefined, 2),
);
process.exitCode = passed.length > 0 ? 1 : 0;

async function runScenario(scenario: Scenario): Promise<Sample[]> {
  await using workspace = await openWorkspace();
  await using prepared = await scenario.prepare(workspace.directory);
  const made: Sample[] = [];
  // the first writes into fresh memory take longer: one round that does not count
  for (let round = values.quick ? 1 : 0; round <= rounds; round += 1)
    for (const tool of inTurn(scenario.tools, round)) {
      const sample = await runOnce(scenario, prepared, { tool, round });
      process.stderr.write(
        `${scenario.name}, round ${round}, ${tool}: ${sample.wallS.toFixed(2)} s, ${sample.cpuS.toFixed(2)} s CPU, ${Math.round(sample.peakRssBytes / 1e6)} MB\n`,
      );
      if (round > 0) made.push(sample);
    }
  return made;
}

/** Who goes second finds a warmer machine. */
function inTurn(tools: readonly Tool[], round: number): readonly Tool[] {
  return round % 2 === 0 ? tools : tools.toReversed();
}

async function runOnce(
  { name: scenario }: Scenario,
  prepared: Prepared,
  { tool, round }: { readonly tool: Tool; readonly round: number },
): Promise<Sample> {
  const { task, registries } = prepared;
  await prepared.reset();
  const counted = Object.values(registries);
  const before = await Promise.all(counted.map((registry) => registry.requests()));
  const measured = await measure(await commandOf(tool, task, bin));
  const after = await Promise.all(counted.map((registry) => registry.requests()));
  await prepared.check();
  const requests: Record<string, number> = {};
  for (const [index, methods] of after.entries())
    for (const [method, count] of methods)
      requests[method] = (requests[method] ?? 0) + count - (before[index]?.get(method) ?? 0);
  return { scenario, tool, round, requests, ...measured };
}

function limitsPassed({ name, peakRssMaxBytes = Infinity }: Scenario, all: readonly Sample[]): string[] {
  return all
    .filter(
      ({ scenario, tool, peakRssBytes }) =>
        scenario === name && tool === "tagferry" && peakRssBytes > peakRssMaxBytes,
    )
    .map(
      ({ peakRssBytes, round }) =>
        `${name}, round ${round}: ${Math.round(peakRssBytes / 1e6)} MB where ${peakRssMaxBytes / 1e6} MB are allowed`,
    );
}
