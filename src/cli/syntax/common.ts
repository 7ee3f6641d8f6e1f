import { type Command, Option } from "commander";

import { LOG_LEVELS } from "../../lib/log-level.ts";

/** A command calls this once, with its exit code. */
export type Finish = (exitCode: number, options?: { readonly endsBySignal?: boolean }) => void;

export const MIRROR_NAMES = "names of mirrors (default: all)";

export function withConfig(command: Command): Command {
  return command.option(
    "-c, --config <file>",
    "configuration file (default: $TAGFERRY_CONFIG, then ./tagferry.yaml)",
  );
}

export type CommonDefaults = { readonly logLevel?: string; readonly formats?: readonly string[] };

export function withCommon(
  command: Command,
  { logLevel = "warn", formats = ["text", "json", "yaml"] }: CommonDefaults = {},
): Command {
  return withOutput(command, formats)
    .addOption(
      new Option("--log-level <level>", "lowest level that is logged").choices(LOG_LEVELS).default(logLevel),
    )
    .addOption(
      new Option(
        "--log-format <format>",
        "format of the log (default: pretty on a terminal, else json)",
      ).choices(["pretty", "json"]),
    )
    .option("--no-progress", "do not show progress");
}

export function withOutput(command: Command, formats: readonly string[] = ["text", "json", "yaml"]): Command {
  return command.addOption(
    new Option("-o, --output <format>", "format of the results").choices(formats).default("text"),
  );
}

/** Collects the values of an option that may be repeated, and that may have several values with commas. */
export function commaList(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(",").filter((part) => part !== "")];
}

/** commander takes the last value of a repeated option silently. Here it is an error, except for lists. */
export function refuseRepeats(command: Command): void {
  for (const option of command.options) {
    let given = 0;
    command.on(`option:${option.name()}`, () => {
      given += 1;
      if (given > 1 && option.parseArg === undefined)
        command.error(`option '${option.flags}' is given twice`);
    });
  }
}
