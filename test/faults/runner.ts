import { existsSync, mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Violation } from "./oracle/violation.ts";
import { randomOf } from "./random.ts";
import { daemonBatch } from "./scenario/daemon-batch.ts";
import { syncBatch } from "./scenario/sync-batch.ts";
import { type Form, openWorld, type World } from "./scenario/world.ts";

export type RunOptions = {
  readonly seed: string;
  readonly from: number;
  readonly scenarios: number;
  /** Scenarios that share a process. */
  readonly batch: number;
  /** Batches that run at the same time. */
  readonly parallel: number;
  readonly form: Form;
  /** Directory for the ledgers of violations. */
  readonly out: string;
  readonly onBatch?: (done: number, results: readonly ScenarioResult[]) => void;
  /** Kinds of violations that are not reported, to see the others. */
  readonly ignore?: readonly string[];
  /** All scenarios have this mode; otherwise the mode depends on the number. */
  readonly only?: Mode;
};

export type Mode = "sync" | "daemon";

export type ScenarioResult = {
  readonly number: number;
  readonly mode: Mode;
  readonly way: string;
  readonly mirrors: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly requests: number;
  readonly tagMoves: number;
  readonly longestRunMs: number;
  readonly violations: readonly Violation[];
  readonly replay: string;
  readonly ledger?: string;
};

/** All scenarios of one block have the same mode, for any size of a batch. */
const BLOCK = 12;

/** So often a scenario may have image streams as its target. */
const STREAM_EVERY = 6;

export function modeOf(seed: string, number: number): Mode {
  return randomOf(`${seed}/mode/${Math.floor(number / BLOCK)}`).chance(0.3) ? "daemon" : "sync";
}

/** Runs scenarios `from` to `from + scenarios - 1` of a seed. */
export async function runScenarios(options: RunOptions): Promise<ScenarioResult[]> {
  const { seed, from, scenarios, batch, parallel, only } = options;
  const numbers = Array.from({ length: scenarios }, (_, at) => from + at);
  const batches = batchesOf(numbers, batch, (number) => only ?? modeOf(seed, number));
  const results: ScenarioResult[] = [];
  const work = async (): Promise<void> => {
    for (let next = batches.shift(); next !== undefined; next = batches.shift()) {
      const found = await runBatch(options, next);
      results.push(...found);
      options.onBatch?.(results.length, found);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return results.toSorted((a, b) => a.number - b.number);
}

function batchesOf(numbers: readonly number[], size: number, mode: (number: number) => Mode): number[][] {
  const batches: number[][] = [];
  for (const number of numbers) {
    const last = batches.at(-1);
    const [first] = last ?? [];
    if (last !== undefined && first !== undefined && last.length < size && mode(first) === mode(number))
      last.push(number);
    else batches.push([number]);
  }
  return batches;
}

async function runBatch(options: RunOptions, numbers: readonly number[]): Promise<ScenarioResult[]> {
  const { seed, form } = options;
  const first = numbers[0] ?? 0;
  const mode = options.only ?? modeOf(seed, first);
  const directory = await mkdtemp(join(tmpdir(), "faults-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const worlds: World[] = [];
  const withStreams = numbers.find((number) => number % STREAM_EVERY === STREAM_EVERY / 2);
  for (const number of numbers) {
    const stream = number === withStreams;
    worlds.push(stack.use(await openWorld(seed, number, { directory, form, stream })));
  }
  const run = mode === "daemon" ? daemonBatch : syncBatch;
  await run(worlds, { form, random: randomOf(`${seed}/batch/${first}`), directory });
  // the results are worthless if the directory was deleted meanwhile
  if (!existsSync(join(directory, "tagferry.json")))
    throw new Error(`somebody removed ${directory} during the run`);
  return worlds.map((world) => resultOf(options, world, mode, numbers));
}

function resultOf(options: RunOptions, world: World, mode: Mode, numbers: readonly number[]): ScenarioResult {
  const { seed, out, form } = options;
  const { number, way, mirrors, ledger } = world;
  const violations = world.violations.filter(({ kind }) => !(options.ignore ?? []).includes(kind));
  const flags = `${form.large ? "" : " --short"}${options.only === undefined ? "" : ` --only ${options.only}`}`;
  const replay = `npm run faults -- --seed ${seed} --from ${numbers[0] ?? number} --scenarios ${numbers.length} --batch ${numbers.length}${flags}`;
  const path = join(out, `seed-${seed}-scenario-${number}.jsonl`);
  if (violations.length > 0) {
    mkdirSync(out, { recursive: true });
    const rules = [
      ...world.injectors.flatMap((each) =>
        each.rules.map((rule) => ({ fault: rule.fault.name, routes: rule.routes, pattern: rule.pattern })),
      ),
      ...(world.streams?.injector.rules ?? []),
    ];
    ledger.note(
      "harness",
      JSON.stringify({
        replay,
        way,
        registries: world.registries.map((each) => ({ side: each.side, rules: each.rules })),
        rules,
      }),
    );
    ledger.write(path);
  }
  return {
    number,
    mode,
    way,
    mirrors: mirrors.length,
    faults: ledger.faults,
    requests: ledger.entries.filter(({ who }) => who !== "harness").length,
    tagMoves: mirrors.reduce((sum, mirror) => sum + mirror.targetHistory.length, 0),
    longestRunMs: world.longestRunMs,
    violations,
    replay,
    ...(violations.length > 0 ? { ledger: path } : {}),
  };
}
