import { setTimeout as sleep } from "node:timers/promises";

import { startRedis } from "../../support/redis.ts";
import type { Random } from "../random.ts";
import { DEADLINES } from "./deadlines.ts";
import { type Daemon, startDaemon } from "./product.ts";
import type { World } from "./world.ts";

/** What is beside a daemon in some scenarios: a Redis, and workers that are processes of their own. */
export type Fleet = AsyncDisposable & {
  readonly redisUrl: string;
  startWorkers(file: string): Promise<void>;
  /** Kills workers and Redis now and then, for so long; ends with all of them running. */
  disturb(worlds: readonly World[], milliseconds: number): Promise<void>;
  workers(): readonly Daemon[];
};

export type FleetOptions = {
  readonly random: Random;
  /** A killed worker costs the time of its lock: 30 s. */
  readonly kills: boolean;
};

const WORKERS = 2;

export async function openFleet({ random, kills }: FleetOptions): Promise<Fleet> {
  const redis = await startRedis({ appendOnly: true });
  const workers: Daemon[] = [];
  let file = "";
  const start = (): Promise<Daemon> => startDaemon(file, DEADLINES.daemonStart, "worker");
  const killWorker = async (worlds: readonly World[]): Promise<void> => {
    for (const world of worlds) world.ledger.count("a worker is killed");
    await workers.shift()?.kill();
    workers.push(await start());
  };
  const restartRedis = async (worlds: readonly World[]): Promise<void> => {
    for (const world of worlds) world.ledger.count("Redis is killed and comes back");
    await redis.kill();
    await sleep(random.int(100, 2_000));
    await redis.start();
  };
  return {
    redisUrl: redis.url,
    async startWorkers(configFile) {
      file = configFile;
      for (let at = 0; at < WORKERS; at += 1) workers.push(await start());
    },
    async disturb(worlds, milliseconds) {
      const end = performance.now() + milliseconds;
      const disturbances = [restartRedis, ...(kills ? [killWorker] : [])];
      while (performance.now() < end) {
        await sleep(random.int(milliseconds / 4, milliseconds / 2));
        await random.pick(disturbances)(worlds);
      }
    },
    workers: () => workers,
    async [Symbol.asyncDispose]() {
      for (const worker of workers) await worker.kill();
      await redis[Symbol.asyncDispose]();
    },
  };
}
