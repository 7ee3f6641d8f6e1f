/**
 * Lets a daemon and two workers run for a while on moving tags, while everything around them fails: workers are killed and
 * suspended, clocks jump, Redis is killed and full of junk, the source is restarted or silent, another source is dead for ever, and
 * the targets are slow at times.
 *
 *     npm run soak                              # ten minutes
 *     npm run soak -- --minutes 1 --seed 7      # does it work?
 *
 * Ends with 1 when a tag went back to an older image, a tag is wrong in the end, something was written that nobody asked for, a
 * mirror was missed, a process ended by itself, or the daemon's memory grew.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";

import { randomOf } from "../test/faults/random.ts";
import { until } from "../test/support/daemon-scene.ts";
import { disturbances } from "./soak/disturbances.ts";
import { openJunk } from "./soak/junk.ts";
import { judge } from "./soak/moves.ts";
import { type SoakProcess, startProcess } from "./soak/processes.ts";
import { DEAD_MIRROR, openStage } from "./soak/stage.ts";

const RSS_MAX_BYTES = 190_000_000;
const SLOPE_MAX_BYTES_PER_MINUTE = 1_000_000;
/** Two locks and some due times: what was under way when the last worker was killed comes again. */
const SETTLE_MS = 150_000;
const WORKERS = 2;

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, seed: { type: "string", default: "1" } },
});
const runMs = Number(values.minutes) * 60_000;

await using stack = new AsyncDisposableStack();
const stage = stack.use(await openStage());
const ended: string[] = [];
const shifts = new Map<string, number>();
const start = (name: string, kind: "serve" | "worker"): Promise<SoakProcess> =>
  startProcess(name, kind, {
    ...stage.processes,
    shiftMs: shifts.get(name) ?? 0,
    onEnded: (text) => void ended.push(text),
  });
const daemon = await start("daemon", "serve");
const workers: SoakProcess[] = [];
for (let at = 0; at < WORKERS; at += 1) workers.push(await start(`worker-${at}`, "worker"));
const all = (): readonly SoakProcess[] => [daemon, ...workers];
stack.defer(async () => {
  for (const process of all()) await process.kill();
});
const shiftClock = async (process: SoakProcess, byMs: number): Promise<void> => {
  shifts.set(process.name, byMs);
  await process.shiftClock(byMs);
};

const events = disturbances({
  stage,
  workers,
  all,
  shiftClock,
  random: randomOf(values.seed),
  junk: stack.use(openJunk(stage.redis.url)),
  async restartWorker(at) {
    await workers[at]?.kill();
    workers[at] = await start(`worker-${at}`, "worker");
  },
});

const counts = new Map<string, number>();
const failed = new Map<string, number>();
const samples: { readonly atMs: number; readonly rssBytes: number }[] = [];
const stop = new AbortController();
const began = performance.now();
async function every(periodMs: number, task: () => Promise<unknown>): Promise<void> {
  while (!stop.signal.aborted) {
    await delay(periodMs, undefined, { signal: stop.signal }).catch(() => {});
    if (!stop.signal.aborted) await task();
  }
}
const add = (to: Map<string, number>, name: string): unknown => to.set(name, (to.get(name) ?? 0) + 1);
const running = Promise.all([
  ...events.map(({ everyMs, run }) =>
    every(everyMs, () =>
      run().then(
        (name) => add(counts, name),
        // Redis or the source is away for a second
        (error: unknown) => add(failed, String(error)),
      ),
    ),
  ),
  every(5_000, async () => {
    samples.push({ atMs: performance.now() - began, rssBytes: await daemon.rssBytes() });
  }),
]);
const reporting = setInterval(() => {
  const { rssBytes = 0 } = samples.at(-1) ?? {};
  const seconds = Math.round((performance.now() - began) / 1000);
  console.error(`${seconds} s`, Object.fromEntries(counts), `${Math.round(rssBytes / 1e6)} MB`);
}, 30_000);
await delay(runMs);
stop.abort();
clearInterval(reporting);
await running;
for (const process of all()) await shiftClock(process, 0);

const judgement = () => judge(stage.tags, stage.ledger());
await until(() => judgement().behind.length === 0, { timeoutMs: SETTLE_MS }).catch(() => {});
const settledMs = performance.now() - began - runMs;
type MirrorStatus = { readonly name: string; readonly lastSuccessAt?: string; readonly state: string };
const readMirrors = async (): Promise<readonly MirrorStatus[]> => {
  const answer = await fetch(`${daemon.url}/api/v1/mirrors`);
  return ((await answer.json()) as { readonly mirrors: readonly MirrorStatus[] }).mirrors;
};
const isMissed = ({ name, lastSuccessAt, state }: MirrorStatus): boolean =>
  name !== DEAD_MIRROR &&
  (state !== "fresh" ||
    lastSuccessAt === undefined ||
    Math.abs(Date.now() - Date.parse(lastSuccessAt)) > SETTLE_MS);
await until(async () => !(await readMirrors()).some(isMissed), { timeoutMs: SETTLE_MS }).catch(() => {});
const missed = (await readMirrors()).filter(isMissed);

const { published, wentBack, behind, foreign } = judgement();
const peakBytes = Math.max(...samples.map(({ rssBytes }) => rssBytes));
const slope = slopeOf(samples.filter(({ atMs }) => atMs > runMs / 4));
const sum = [...counts.values()].reduce((total, count) => total + count, 0);
console.log(`events: ${sum}`);
for (const [name, count] of counts) console.log(`  ${name}: ${count}`);
for (const [name, count] of failed) console.log(`  (not done, ${name}: ${count})`);
console.log(`published: ${published} times, ${stage.tags.length} tags`);
console.log(`tags that went back: ${wentBack.length}`);
console.log(
  `tags that are wrong in the end: ${behind.length}; all were right after ${Math.round(settledMs / 1000)} s`,
);
console.log(`tags that nobody asked for: ${foreign.length}`);
console.log(`mirrors that were missed: ${missed.length}`);
console.log(`processes that ended by themselves: ${ended.length}`);
for (const line of [
  ...wentBack,
  ...behind,
  ...foreign,
  ...missed.map((mirror) => JSON.stringify(mirror)),
  ...ended,
])
  console.log(`  ${line}`);
console.log(
  `daemon: at most ${Math.round(peakBytes / 1e6)} MB, ${(slope / 1e6).toFixed(2)} MB a minute after warm-up`,
);
const problems = [wentBack, behind, foreign, missed, ended].some(({ length }) => length > 0);
process.exitCode = problems || peakBytes > RSS_MAX_BYTES || slope > SLOPE_MAX_BYTES_PER_MINUTE ? 1 : 0;

/** Least squares, in bytes a minute. */
function slopeOf(points: readonly { readonly atMs: number; readonly rssBytes: number }[]): number {
  const mean = (pick: (point: (typeof points)[number]) => number): number =>
    points.reduce((total, point) => total + pick(point), 0) / points.length;
  const [x, y] = [mean(({ atMs }) => atMs), mean(({ rssBytes }) => rssBytes)];
  const over = points.reduce((total, point) => total + (point.atMs - x) * (point.rssBytes - y), 0);
  const under = points.reduce((total, point) => total + (point.atMs - x) ** 2, 0);
  return under === 0 ? 0 : (over / under) * 60_000;
}
