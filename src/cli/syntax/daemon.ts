import type { Command } from "commander";

import type { ServeFlags } from "../commands/serve.ts";
import type { Process } from "../process.ts";
import { type Finish, withCommon, withConfig } from "./common.ts";

const DESCRIPTIONS = {
  serve: "run the daemon: schedules, queue, workers, web page",
  worker: "run only workers, next to a daemon in another process",
} as const;

const LISTEN = {
  serve: "address of page, API, metrics and health checks (default: daemon.listen)",
  worker: "address of metrics and health checks (default: none)",
} as const;

const HEALTH = {
  serve: "a separate address of the health checks (default: daemon.healthListen)",
  worker: "a separate address of the health checks (default: none)",
} as const;

/** Commands that run until a signal: serve, worker. */
export function addDaemonCommands(program: Command, process: Process, finish: Finish): void {
  for (const kind of ["serve", "worker"] as const)
    withCommon(withConfig(program.command(kind)), { logLevel: "info" })
      .description(DESCRIPTIONS[kind])
      .option("--listen <host:port>", LISTEN[kind])
      .option("--health-listen <host:port>", HEALTH[kind])
      .option("--workers <count>", "tags that this process copies at once (default: daemon.copies)")
      .action(async (flags: ServeFlags) => {
        finish(0, { endsBySignal: true }); // for a failure too: a connection to Redis may still be open
        const { serveCommand } = await import("../commands/serve.ts");
        finish(await serveCommand(kind, flags, process), { endsBySignal: true });
      });
}
