import type { Command, Option } from "commander";

/** The commands and flags as data, for completion scripts. */
export type CommandGrammar = {
  readonly name: string;
  readonly description: string;
  readonly flags: readonly FlagGrammar[];
  readonly argument: Completes;
};

export type FlagGrammar = {
  readonly short?: string;
  readonly long: string;
  readonly description: string;
  /** undefined: the flag has no value. */
  readonly value?: Completes;
};

/** What a value is completed with. */
export type Completes =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "files" }
  | { readonly kind: "mirrors" }
  | { readonly kind: "nothing" };

export function grammarOf(program: Command): readonly CommandGrammar[] {
  const commands = program.createHelp().visibleCommands(program);
  const names = commands.map((command) => command.name());
  return commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    flags: [
      ...command.options.map(flagOf),
      { short: "-h", long: "--help", description: "show the help of this command" },
    ],
    argument: argumentOf(command, names),
  }));
}

function flagOf({ short, long, description, required, argChoices, flags }: Option): FlagGrammar {
  return {
    ...(short === undefined ? {} : { short }),
    long: long ?? "",
    description,
    ...(required ? { value: valueOf(flags, argChoices) } : {}),
  };
}

function valueOf(flags: string, choices: readonly string[] | undefined): Completes {
  if (choices) return { kind: "words", words: choices };
  return flags.endsWith("<file>") ? { kind: "files" } : { kind: "nothing" };
}

function argumentOf(command: Command, names: readonly string[]): Completes {
  const [first] = command.registeredArguments;
  if (command.name() === "help") return { kind: "words", words: names };
  if (first?.argChoices) return { kind: "words", words: first.argChoices };
  if (first?.name() === "mirrors") return { kind: "mirrors" };
  return first?.name() === "file" ? { kind: "files" } : { kind: "nothing" };
}
