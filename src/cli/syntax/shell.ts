import { Argument, type Command } from "commander";

import type { CommonFlags, Process } from "../process.ts";
import { type Shell, SHELLS } from "../shells.ts";
import { type Finish, withConfig, withOutput } from "./common.ts";

/** Commands about the program itself: version, completion, help. */
export function addShellCommands(program: Command, process: Process, finish: Finish): void {
  withOutput(program.command("version"))
    .description("print the versions of Tagferry and Node")
    .action(async (flags: Pick<CommonFlags, "output">) => {
      const { versionCommand } = await import("../commands/version.ts");
      await versionCommand(flags, process);
    });
  program
    .command("completion")
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .description("print a script that completes commands, flags and names of mirrors")
    .action(async (shell: Shell) => {
      const { completionCommand } = await import("../commands/completion.ts");
      completionCommand(shell, program, process);
    });
  // the completion scripts call it
  withConfig(program.command("mirror-names", { hidden: true })).action(
    async (flags: Pick<CommonFlags, "config">) => {
      const { mirrorNamesCommand } = await import("../commands/completion.ts");
      finish(await mirrorNamesCommand(flags, process));
    },
  );
  addHelp(program);
}

/** commander's own help command shows the help of the program when the command does not exist. */
function addHelp(program: Command): void {
  program
    .helpCommand(false)
    .command("help")
    .argument("[command]", "a command")
    .description("show the help of a command")
    .action(async (name: string | undefined) => {
      const command = name === undefined ? program : program.commands.find((one) => one.name() === name);
      if (command) command.outputHelp();
      // an unknown command is refused as without `help`, with a suggestion
      else await program.parseAsync([name ?? ""], { from: "user" });
    });
}
