import { type Command, CommanderError } from "commander";

import type { Process } from "./process.ts";
import { openProgram } from "./program.ts";

/** Commands that a signal can stop while they write images. */
const WRITES_IMAGES = ["sync", "copy"];

/** How the command line ended. */
export type Ended = {
  readonly code: number;
  /** True for daemons: a signal is their normal end, not a failure. */
  readonly endsBySignal: boolean;
};

/**
 * Reads the command line, runs the command, prints the failure if there is one, and returns the exit code.
 *
 * Only commander is loaded at this point. Each command loads its own modules when it runs, so that `--help` is fast.
 */
export async function runCommandLine(args: readonly string[], process: Process): Promise<Ended> {
  let ended: Ended = { code: 0, endsBySignal: false };
  const program = openProgram(process, (code, { endsBySignal = false } = {}) => {
    ended = { code, endsBySignal };
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return ended;
  } catch (error) {
    // `--help` and `--version` end with this error and exit code 0
    if (error instanceof CommanderError && error.exitCode === 0) return ended;
    const { EXIT, exitCodeOfError } = await import("./exit-code.ts");
    if (error instanceof CommanderError) {
      const names = program.commands.map((one) => one.name()).filter((name) => name !== "help");
      const command = names.find((name) => args.includes(name));
      process.stderr.write(usageText(error, program, command));
      return { code: EXIT.usage, endsBySignal: false };
    }
    const { printFailure } = await import("./terminal/print-failure.ts");
    printFailure(error, process, { writesImages: WRITES_IMAGES.some((name) => args[0] === name) });
    return { ...ended, code: exitCodeOfError(error) };
  }
}

function usageText(error: CommanderError, program: Command, command: string | undefined): string {
  if (error.code === "commander.help") return program.helpInformation();
  const message = error.message.replace(/^error: /, "").replaceAll("\n", " ");
  const [, flag] = /^unknown option '(--[\w-]+)/.exec(message) ?? [];
  const owners = program.commands.filter(({ options }) => options.some(({ long }) => long === flag));
  const [owner] = message.includes("Did you mean") ? [] : owners;
  const help = `Run \`tagferry ${command === undefined ? "" : `${command} `}--help\`: it lists the ${command === undefined ? "commands" : "flags and arguments"}.`;
  const next =
    owner && flag !== undefined ? `${flag} is a flag of \`tagferry ${owner.name()}\`. ${help}` : help;
  return `USAGE  ${message}\n  next     ${next}\n`;
}
