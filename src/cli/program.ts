import { Command } from "commander";

import type { Process } from "./process.ts";
import { type Finish, refuseRepeats } from "./syntax/common.ts";
import { addDaemonCommands } from "./syntax/daemon.ts";
import { examplesText } from "./syntax/examples.ts";
import { addFileCommands } from "./syntax/files.ts";
import { addImageCommands } from "./syntax/images.ts";
import { addMirrorCommands } from "./syntax/mirrors.ts";
import { addShellCommands } from "./syntax/shell.ts";
import { VERSION } from "./version.ts";

/** The codes are in exit-code.ts. README.md repeats this text. */
export const EXIT_CODES = `
Exit codes: 0 success, 1 some tags failed, 2 all tags failed or the run could not start, 3 wrong configuration or usage,
4 credentials refused, 5 changes found (plan --exit-code) or only refusals by a policy, 130/143 stopped by a signal.`;

/** All commands with their arguments and flags. */
export function openProgram(process: Process, finish: Finish): Command {
  const program = new Command("tagferry")
    .description("Mirrors image tags from other registries into OpenShift image streams.")
    .version(VERSION)
    .addHelpText("after", EXIT_CODES)
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => process.stdout.write(text),
      writeErr: () => {}, // runCommandLine prints usage errors
      getOutHelpWidth: () => process.stdout.columns ?? 110,
    });
  addMirrorCommands(program, process, finish);
  addImageCommands(program, process, finish);
  addDaemonCommands(program, process, finish);
  addFileCommands(program, process, finish);
  addShellCommands(program, process, finish);
  for (const command of program.commands) {
    refuseRepeats(command.exitOverride().copyInheritedSettings(program));
    command.addHelpText("after", examplesText(command.name()));
  }
  return program;
}
