import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { loadConfig } from "../../src/config/file/load.ts";
import { openDaemon } from "../../src/daemon/daemon.ts";
import { checkSchedules } from "../../src/daemon/triggers/check-schedules.ts";
import { openLog } from "../../src/lib/log.ts";
import { checkTagRules } from "../../src/plan/patterns.ts";

type Options = {
  readonly file: string;
  readonly schedules?: boolean;
  readonly workers?: number;
  readonly lockMs?: number;
};

export type DaemonProcess = AsyncDisposable & {
  readonly child: ChildProcess;
  readonly log: () => string;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL. */
  kill(): Promise<void>;
};

/** A daemon or worker in a process that can be killed. Its lock is short, so that tests need not wait for it. */
export async function startDaemonProcess(options: Options): Promise<DaemonProcess> {
  const child = spawn(process.execPath, [import.meta.filename, JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  };
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== "ready") continue;
    return {
      child,
      log: () => log,
      signal: (name) => void child.kill(name),
      kill,
      [Symbol.asyncDispose]: kill,
    };
  }
  throw new Error(`the daemon's process ended before it was ready:\n${log}`);
}

async function main({ file, schedules = false, workers, lockMs = 2_000 }: Options): Promise<void> {
  const log = openLog({ level: "debug", format: "json", destination: process.stderr });
  const load = (): ReturnType<typeof loadConfig> =>
    loadConfig({ file, env: {}, directory: "/", checks: [checkTagRules, checkSchedules] });
  const daemon = await openDaemon({
    first: await load(),
    load,
    env: {},
    log,
    version: "test",
    schedules,
    workers,
    lockMs,
  });
  process.once("SIGTERM", () => {
    void daemon.stop({ signal: AbortSignal.timeout(3_000) }).then(() => process.exit(0));
  });
  // when the starting process ends, this one ends too
  process.stdin.resume().on("end", () => process.exit(0));
  process.stdout.write("ready\n");
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? "{}") as Options);
