import { type Command, Option } from "commander";

import type { PlanFlags } from "../commands/plan.ts";
import type { StatusFlags } from "../commands/status.ts";
import type { SyncFlags } from "../commands/sync.ts";
import type { Process } from "../process.ts";
import { type Finish, MIRROR_NAMES, withCommon, withConfig } from "./common.ts";

/** Commands about the mirrors of a configuration: sync, plan, status. */
export function addMirrorCommands(program: Command, process: Process, finish: Finish): void {
  addSync(program, process, finish);
  addPlan(program, process, finish);
  addStatus(program, process, finish);
}

function addSync(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("sync").argument("[mirrors...]", MIRROR_NAMES)))
    .description("check the mirrors once and update their targets")
    .addOption(
      new Option(
        "--verify <what>",
        "also verify all tags in place: presence (all content is there) or bytes (all content is read and hashed)",
      ).choices(["presence", "bytes"]),
    )
    .action(async (names: string[], flags: SyncFlags) => {
      const { syncCommand } = await import("../commands/sync.ts");
      finish(await syncCommand(names, flags, process));
    });
}

function addPlan(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("plan").argument("[mirrors...]", MIRROR_NAMES)), {
    formats: ["text", "json", "yaml", "markdown"],
  })
    .description("show what sync would do, and why; write nothing")
    .option("--explain", "show which rule kept or dropped each tag")
    .option("--sizes", "read the manifests of new images to show how many bytes sync would copy")
    .option("--no-sizes", "do not read them (default for Docker Hub, which counts each as a pull)")
    .option("--exit-code", "exit with 5 when sync would change something")
    .action(async (names: string[], flags: PlanFlags) => {
      const { planCommand } = await import("../commands/plan.ts");
      finish(await planCommand(names, flags, process));
    });
}

function addStatus(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("status").argument("[mirrors...]", MIRROR_NAMES)))
    .description("ask a running daemon which mirrors are fresh, late or failing, and why")
    .option("--failing", "show only mirrors that are late or failing")
    .option("--watch", "show the status again every two seconds, until Ctrl-C")
    .option("--url <url>", "address of the daemon (default: daemon.listen on this machine)")
    .option("--token-file <file>", "file with the token of the daemon (default: daemon.tokenFile)")
    .option("--live", "only check that the daemon is alive: exit code 0 or 1")
    .action(async (names: string[], flags: StatusFlags) => {
      const { statusCommand } = await import("../commands/status.ts");
      finish(await statusCommand(names, flags, process));
    });
}
