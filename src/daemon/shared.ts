import type { Config } from "../config/config.ts";
import type { Log } from "../lib/log.ts";
import { inProcessQueue } from "./queue/in-process.ts";
import { openRecords } from "./records/records.ts";
import type { Shared, SharedOptions } from "./shared-types.ts";
import { fileStateStore } from "./state/file.ts";
import { inProcessStateStore } from "./state/state-store.ts";

export async function openShared({ daemon }: Config, log: Log, options: SharedOptions): Promise<Shared> {
  if (daemon.redis) {
    const { openSharedRedis } = await import("./shared-redis.ts");
    return openSharedRedis(daemon.redis, daemon.jobKeyFile, log, options);
  }
  const file = daemon.stateFile === undefined ? undefined : await fileStateStore(daemon.stateFile, { log });
  const records = openRecords(file ?? inProcessStateStore(), { now: options.now });
  return { link: undefined, queue: inProcessQueue(), records, limits: {}, store: file };
}
