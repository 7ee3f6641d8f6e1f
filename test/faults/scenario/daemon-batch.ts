import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { walk } from "../oracle/closure.ts";
import { checkEnd, inPlace, referrerKind } from "../oracle/end.ts";
import { lostReferrers } from "../oracle/referrers.ts";
import { type Batch, writeBatch } from "./batch.ts";
import { moveTag, sign } from "./changes.ts";
import { DEADLINES } from "./deadlines.ts";
import { openFleet } from "./fleet.ts";
import { type Mirror, reference, sourceShown, targetShown, wantedTags } from "./mirror.ts";
import { ask, type Daemon, startCommand, startDaemon } from "./product.ts";
import type { BatchOptions } from "./sync-batch.ts";
import type { World } from "./world.ts";

const SECRET = "webhooksecret";

/**
 * A daemon checks every few seconds while tags move and faults happen. Then the faults stop, and the final state is
 * checked.
 */
export async function daemonBatch(
  worlds: readonly World[],
  { random, directory, form }: BatchOptions,
): Promise<void> {
  const secretFile = join(directory, "webhook-secret");
  writeFileSync(secretFile, SECRET);
  const own = random.fork("fleet");
  await using fleet = own.chance(form.redis)
    ? await openFleet({ random: own, kills: form.awaitDead })
    : undefined;
  const batch = await writeBatch(worlds, directory, {
    schedule: `*/${random.pick([1, 2, 3])} * * * * *`,
    daemon: {
      webhooks: { secretFile },
      workers: random.pick([1, 4, 8]),
      ...(random.chance(0.7) && fleet === undefined ? { stateFile: "state.jsonl" } : {}),
      ...(fleet === undefined ? {} : { redis: fleet.redisUrl }),
    },
  });
  for (const world of worlds) {
    world.faults(true);
    world.runs.push(world.ledger.now());
    if (world.dead !== undefined) world.ledger.count("a mirror's source is dead for ever");
  }
  let daemon = await startDaemon(batch.file, DEADLINES.daemonStart);
  await fleet?.startWorkers(batch.file);
  const churning = random.int(form.churnMs / 2, form.churnMs);
  const disturbing = fleet?.disturb(worlds, churning);
  const churn = Promise.all(worlds.map((world) => churnWorld(world, () => daemon, churning)));
  if (random.chance(0.3)) {
    await sleep(churning * random.float());
    for (const world of worlds) world.ledger.count("SIGKILL");
    await daemon.kill();
    daemon = await startDaemon(batch.file, DEADLINES.daemonStart);
  }
  await Promise.all([churn, disturbing]);
  for (const world of worlds) {
    world.faults(false);
    world.ledger.note("harness", "quiet: no more faults, no more moves");
  }
  await settle(worlds, daemon);
  await stopWorkers(worlds, fleet?.workers() ?? []);
  await judgeDaemon(batch, daemon);
}

/** The workers end with 0; the daemon works on alone. */
async function stopWorkers(worlds: readonly World[], workers: readonly Daemon[]): Promise<void> {
  for (const worker of workers) {
    const when = worker.crashed() ? "after quiet" : "at SIGTERM";
    const code = worker.crashed() ? undefined : await worker.stop(DEADLINES.daemonStop);
    if (code === 0) continue;
    for (const world of worlds)
      world.violate("crash", when, `a worker ended with ${code}: ${worker.log().slice(-1_500)}`);
  }
}

/** Moves, signatures, and checks that people and webhooks request besides the schedule. */
async function churnWorld(world: World, daemon: () => Daemon, milliseconds: number): Promise<void> {
  const { ledger, random, pool, mirrors } = world;
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    await sleep(random.int(200, 1_500));
    const mirror = random.pick(mirrors);
    const tags = wantedTags(mirror);
    if (tags.length === 0) continue;
    const tag = random.pick(tags);
    const action = random.float();
    if (action < 0.55) {
      ledger.count("a tag moves in the middle of a run");
      moveTag({ ledger, random, pool }, mirror, tag);
    } else if (action < 0.7) {
      ledger.count("a signature is pushed after its image");
      sign({ ledger, random, pool }, mirror, tag);
    } else if (action < 0.85) void ask(daemon(), `/api/v1/mirrors/${mirror.name}/sync`, { method: "POST" });
    else void tellByWebhook(daemon(), mirror, tag);
  }
}

async function tellByWebhook(daemon: Daemon, { sourceEnd }: Mirror, tag: string): Promise<void> {
  if (sourceEnd.kind === "layout") return;
  await ask(daemon, "/hooks/generic", {
    method: "POST",
    body: { repository: reference(sourceEnd), tag },
    secret: SECRET,
  });
}

/** Waits until everything is up to date, and then for some more checks, because an old job might still publish. */
async function settle(worlds: readonly World[], daemon: Daemon): Promise<void> {
  const begun = performance.now();
  const waiting = new Set(worlds);
  while (waiting.size > 0 && performance.now() - begun < DEADLINES.quiet && !daemon.crashed()) {
    await sleep(500);
    for (const world of waiting) {
      for (const watch of world.layoutWatches) watch.look();
      if (!inPlace(world.mirrors)) continue;
      waiting.delete(world);
      world.ledger.note("harness", `in step after ${Math.round(performance.now() - begun)} ms of quiet`);
    }
  }
  for (const world of waiting)
    if (world.dead !== undefined)
      world.violate(
        "held up by a dead mirror",
        "beside it",
        `not in step after ${DEADLINES.quiet} ms; the dead source ${world.dead.kind}`,
      );
  await sleep(8_000);
}

type MirrorState = { readonly name?: string; readonly state?: string };

async function statesOf(daemon: Daemon): Promise<ReadonlyMap<string, string>> {
  const told = await ask(daemon, "/api/v1/mirrors");
  const list = Array.isArray(told) ? told : ((told as { mirrors?: unknown } | undefined)?.mirrors ?? []);
  return new Map((list as readonly MirrorState[]).map(({ name = "", state = "" }) => [name, state]));
}

async function judgeDaemon(batch: Batch, daemon: Daemon): Promise<void> {
  const { worlds } = batch;
  const when = "after quiet";
  if (daemon.crashed())
    for (const world of worlds)
      world.violate("crash", when, `the daemon ended: ${daemon.log().slice(-1_500)}`);
  else await judgeStates(worlds, daemon, when);
  for (const world of worlds) checkEnd(world, { when, referrers: false });
  const code = await daemon.stop(DEADLINES.daemonStop);
  if (code !== 0)
    for (const world of worlds)
      world.violate(
        code === undefined ? "hang" : "crash",
        "at SIGTERM",
        `exit ${code}: ${daemon.log().slice(-800)}`,
      );
  await judgeReferrers(batch);
}

/**
 * The states on the page are true: a `fresh` mirror is up to date, and a mirror that is up to date soon becomes
 * `fresh`.
 */
async function judgeStates(worlds: readonly World[], daemon: Daemon, when: string): Promise<void> {
  const begun = performance.now();
  const allowed = ["fresh", "running"];
  let states = await statesOf(daemon);
  const stale = (): World[] =>
    worlds.filter(
      ({ mirrors }) =>
        inPlace(mirrors) && mirrors.some(({ name }) => !allowed.includes(states.get(name) ?? "")),
    );
  while (stale().length > 0 && performance.now() - begun < DEADLINES.state) {
    await sleep(1_000);
    states = await statesOf(daemon);
  }
  for (const world of stale())
    world.violate(
      "untruthful state",
      when,
      `all is in step, and it says ${world.mirrors.map(({ name }) => `${name} ${states.get(name) ?? "?"}`).join(", ")}`,
    );
  for (const world of worlds) {
    for (const mirror of world.mirrors)
      if (!inPlace([mirror]) && states.get(mirror.name) === "fresh")
        world.violate("untruthful state", when, `${mirror.name} says fresh, and is behind`);
    if (stale().includes(world) || !inPlace(world.mirrors))
      world.ledger.note("harness", `the daemon's log ends: ${daemon.log().slice(-6_000)}`);
  }
}

/** Scheduled checks may need minutes to notice late signatures. A requested run must copy them all. */
async function judgeReferrers({ worlds, file, living }: Batch): Promise<void> {
  const late = worlds.some(({ mirrors }) => mirrors.some((mirror) => lostOf(mirror).length > 0));
  if (!late) return;
  const ended = await startCommand(
    ["sync", "-c", file, "-o", "json", "--no-progress", ...living],
    DEADLINES.cleanRun,
    { cache: "empty" },
  ).ended;
  for (const world of worlds)
    for (const mirror of world.mirrors)
      for (const { tag, lost } of lostOf(mirror))
        world.violate(
          referrerKind(world, mirror, tag),
          "after a clean sync beside the daemon",
          `${mirror.name}:${tag} (exit ${ended.code}): ${lost}`,
        );
}

function lostOf(mirror: Mirror): { readonly tag: string; readonly lost: string }[] {
  try {
    const [source, target] = [sourceShown(mirror), targetShown(mirror)];
    return wantedTags(mirror).flatMap((tag) => {
      const digest = source.tags.get(tag) ?? "";
      const whole = target.tags.get(tag) === digest && walk(target, digest).problems.length === 0;
      return whole ? lostReferrers(source, target, digest).map((lost) => ({ tag, lost })) : [];
    });
  } catch {
    return [];
  }
}
