import { setTimeout as delay } from "node:timers/promises";

import type { Random } from "../../test/faults/random.ts";
import type { Junk } from "./junk.ts";
import type { SoakProcess } from "./processes.ts";
import type { Stage } from "./stage.ts";

/** One kind of event: how often it happens, and what happens. It gives the name it is counted under. */
export type Disturbance = { readonly everyMs: number; readonly run: () => Promise<string> };

export type Actors = {
  readonly stage: Stage;
  readonly random: Random;
  readonly junk: Junk;
  readonly workers: readonly SoakProcess[];
  readonly all: () => readonly SoakProcess[];
  /** SIGKILL, and another process in its place. */
  restartWorker(at: number): Promise<void>;
  /** Sets the clock of a process, and of those that follow it. */
  readonly shiftClock: (process: SoakProcess, byMs: number) => Promise<void>;
};

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const SHIFTS_MS = [
  0,
  0,
  1.5 * MINUTE_MS,
  -1.5 * MINUTE_MS,
  60 * MINUTE_MS,
  -60 * MINUTE_MS,
  DAY_MS,
  -DAY_MS,
] as const;
const SILENCE_MS = 10_000;
const SLOWNESS_MS = 12_000;
const SUSPENSION_MS = 8_000;

export function disturbances(actors: Actors): readonly Disturbance[] {
  const { stage, random, junk } = actors;
  let moved = 0;
  let killed = 0;
  const slow = (): Promise<void> => delay(random.int(200, 2_000));
  return [
    {
      everyMs: 250,
      async run() {
        const entry = stage.tags[moved % stage.tags.length];
        moved += 1;
        if (entry) await stage.move(entry);
        return "moved tags";
      },
    },
    {
      everyMs: 20_000,
      async run() {
        await actors.restartWorker(killed % actors.workers.length);
        killed += 1;
        return "killed workers";
      },
    },
    {
      everyMs: 90_000,
      async run() {
        await stage.redis.kill();
        await delay(1_000);
        await stage.redis.start();
        return "restarts of Redis";
      },
    },
    {
      everyMs: 55_000,
      async run() {
        await stage.restartSource(() => delay(1_000));
        return "restarts of the source";
      },
    },
    { everyMs: 9_000, run: () => jump(actors) },
    { everyMs: 1_000, run: () => junk.write() },
    {
      everyMs: 70_000,
      async run() {
        const answers = Promise.withResolvers<void>();
        const undo = stage.source().before(() => answers.promise);
        await delay(SILENCE_MS);
        undo();
        answers.resolve();
        return "silences of the source";
      },
    },
    {
      everyMs: 45_000,
      async run() {
        const undo = [stage.target, stage.cluster, stage.cluster.registry].map((one) => one.before(slow));
        await delay(SLOWNESS_MS);
        for (const each of undo) each();
        return "slow times of the targets";
      },
    },
    {
      everyMs: 65_000,
      async run() {
        const worker = random.pick(actors.workers);
        worker.suspend();
        await delay(SUSPENSION_MS);
        worker.resume();
        return "suspended workers";
      },
    },
  ];
}

/** One process alone, or all of them, as when somebody sets the clock of the machine. */
async function jump({ random, all, shiftClock }: Actors): Promise<string> {
  const chosen = random.chance(0.5) ? all() : [random.pick(all())];
  const byMs = random.pick(SHIFTS_MS);
  await Promise.all(chosen.map((process) => shiftClock(process, byMs)));
  return "jumps of clocks";
}
