import { setTimeout as sleep } from "node:timers/promises";

import { checkEnd } from "../oracle/end.ts";
import { checkCrash, checkExit, reportOf, type RunFacts } from "../oracle/exit.ts";
import type { Random } from "../random.ts";
import { type Batch, writeBatch } from "./batch.ts";
import { watchBesideDead } from "./beside-dead.ts";
import type { Deletion } from "./changes.ts";
import { DEADLINES } from "./deadlines.ts";
import { beforeCleanRun, betweenRuns, scheduleEvents } from "./events.ts";
import { reference, wantedTags } from "./mirror.ts";
import { copyRun, planRun, writesSince } from "./other-commands.ts";
import { type Ended, startCommand } from "./product.ts";
import type { Form, World } from "./world.ts";

export type BatchOptions = { readonly form: Form; readonly random: Random; readonly directory: string };

/** Runs of `tagferry sync` with faults, then a run without faults, then the check of the final state. */
export async function syncBatch(
  worlds: readonly World[],
  { form, random, directory }: BatchOptions,
): Promise<void> {
  const batch = await writeBatch(worlds, directory);
  const undo: Deletion[] = [];
  const runs = random.pick([1, 1, 2]);
  for (let run = 1; run <= runs; run += 1) {
    if (run > 1 && !form.calm) for (const world of worlds) betweenRuns(world, form);
    await faultyRun(batch, `in faulty run ${run}`, { random, undo, form, remembers: run > 1 });
  }
  if (random.chance(form.others) && !form.calm) await planRun(batch);
  for (const world of worlds) if (random.chance(form.others)) await copyRun(batch, world);
  for (const deletion of undo) deletion.undo();
  for (const world of worlds) beforeCleanRun(world, form);
  await cleanRun(batch, random);
}

type Faulty = {
  readonly random: Random;
  readonly undo: Deletion[];
  readonly form: Form;
  readonly remembers: boolean;
};

async function faultyRun(
  batch: Batch,
  when: string,
  { random, undo, form, remembers }: Faulty,
): Promise<void> {
  const { worlds, file } = batch;
  const from = new Map(worlds.map((world) => [world, world.ledger.now()]));
  for (const world of worlds) {
    world.faults(true);
    for (const each of world.injectors) each.hidden.clear();
    world.runs.push(world.ledger.now());
    world.ledger.note("harness", `${when}: begins`);
    if (!form.calm) scheduleEvents(world, undo);
  }
  const slow = worlds.some(
    (world) =>
      world.dead !== undefined || world.injectors.some((each) => each.rules.some(({ fault }) => fault.slow)),
  );
  const command = startCommand(
    ["sync", "-c", file, "-o", "json", "--no-progress"],
    slow ? DEADLINES.slowRun : DEADLINES.run,
  );
  if (random.chance(0.2) && !form.calm)
    killAfter(worlds, random.int(5, 40 * worlds.length), () => command.kill());
  const beside = watchBesideDead(worlds, command, { ...form, remembers });
  const ended = await command.ended;
  await beside;
  for (const world of worlds) {
    world.onRequest = () => undefined;
    for (const watch of world.layoutWatches) watch.look();
    world.ledger.note("harness", `${when}: ${ended.end} with ${ended.code}`);
    judge(world, ended, { when, from: from.get(world) ?? 0, remembers });
  }
  // the last requests of a killed process may still be on their way
  if (ended.end === "killed") await sleep(1_000);
}

function judge(
  world: World,
  ended: Ended,
  { when, from, remembers = false }: Pick<RunFacts, "when" | "from" | "remembers">,
): void {
  if (ended.end === "killed") return;
  world.longestRunMs = Math.max(world.longestRunMs, world.ledger.now() - from);
  if (ended.end === "late") {
    world.violate("hang", when, `still running after the deadline: ${ended.stderr.slice(-600)}`);
    return;
  }
  checkExit(world, { when, from, to: world.ledger.now(), ended, remembers });
}

function killAfter(worlds: readonly World[], requests: number, kill: () => void): void {
  let count = 0;
  let killed = false;
  for (const world of worlds) {
    const before = world.onRequest;
    world.onRequest = (number) => {
      before(number);
      count += 1;
      if (count < requests || killed) return;
      killed = true;
      world.ledger.count("SIGKILL");
      kill();
    };
  }
}

async function cleanRun({ worlds, file, living }: Batch, random: Random): Promise<void> {
  const when = "in the clean run";
  const from = new Map(worlds.map((world) => [world, world.ledger.now()]));
  for (const world of worlds) {
    for (const each of world.injectors) each.hidden.clear();
    world.runs.push(world.ledger.now());
    world.ledger.note("harness", `${when}: begins`);
  }
  const args = ["sync", "-c", file, "-o", "json", "--no-progress", ...living];
  // late signatures are looked for at growing intervals; without proofs, all are looked for immediately
  const ended = await startCommand(args, DEADLINES.cleanRun, { cache: "empty" }).ended;
  for (const world of worlds) {
    for (const watch of world.layoutWatches) watch.look();
    judge(world, ended, { when, from: from.get(world) ?? 0 });
    checkClean(world, ended);
    checkEnd(world, { when: "after the clean run", referrers: true });
  }
  if (random.chance(0.1)) await idleRun(worlds, args);
}

function checkClean(world: World, ended: Ended): void {
  const report = reportOf(ended);
  for (const { name } of world.mirrors) {
    const told = report?.mirrors.find(({ mirror }) => mirror === name);
    if (told?.state === "done") continue;
    const failures = [told?.failure, ...(told?.outcomes ?? []).map(({ failure }) => failure)].filter(
      (each) => each !== undefined,
    );
    world.violate(
      "clean run failed",
      "in the clean run",
      `${name}: ${told?.state ?? "not told"}, exit ${ended.code}: ${JSON.stringify(failures)} ${report === undefined ? ended.stderr.slice(-800) : ""}`,
    );
  }
}

/** Nothing has changed, so `sync` and `copy` write nothing. */
async function idleRun(worlds: readonly World[], args: readonly string[]): Promise<void> {
  await idle(worlds, "in the idle run", args);
  const [world] = worlds;
  const [mirror] = world?.streams ? [] : (world?.mirrors ?? []);
  const [tag] = mirror === undefined ? [] : wantedTags(mirror);
  if (world === undefined || mirror === undefined || tag === undefined) return;
  // a copy correctly adds what earlier runs did not copy
  if (world.violations.length > 0) return;
  const ends = [`${reference(mirror.sourceEnd)}:${tag}`, `${reference(mirror.targetEnd)}:${tag}`];
  await idle([world], "in an idle copy", ["copy", ...ends, ...args.slice(1, 6)]);
}

async function idle(worlds: readonly World[], when: string, args: readonly string[]): Promise<void> {
  const marks = new Map(worlds.map((world) => [world, world.ledger.entries.length]));
  const ended = await startCommand(args, DEADLINES.cleanRun).ended;
  for (const world of worlds) {
    checkCrash(world, when, ended);
    const writes = writesSince(world, marks.get(world) ?? 0);
    if (writes.length > 0) world.violate("wrote again", when, writes.slice(0, 5).join("; "));
  }
}
