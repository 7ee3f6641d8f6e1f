import type { Command } from "commander";

import { loadConfig } from "../../config/file/load.ts";
import { bashCompletion } from "../completion/bash.ts";
import { fishCompletion } from "../completion/fish.ts";
import { grammarOf } from "../completion/grammar.ts";
import { zshCompletion } from "../completion/zsh.ts";
import { EXIT } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import type { Shell } from "../shells.ts";

const WRITERS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** Prints the completion script of a shell. */
export function completionCommand(shell: Shell, program: Command, { stdout }: Pick<Process, "stdout">): void {
  stdout.write(WRITERS[shell](grammarOf(program)));
}

/** Prints the names of the mirrors for completion. Prints nothing when the file is wrong. */
export async function mirrorNamesCommand(
  { config: file }: Pick<CommonFlags, "config">,
  { env, directory, stdout }: Process,
): Promise<number> {
  try {
    const { config } = await loadConfig({ ...(file === undefined ? {} : { file }), env, directory });
    stdout.write(config.mirrors.map(({ name }) => `${name}\n`).join(""));
    return EXIT.done;
  } catch {
    return EXIT.usage;
  }
}
