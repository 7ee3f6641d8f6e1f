import { readFile } from "node:fs/promises";

import { loadConfig } from "../../config/file/load.ts";
import { isProblems, renderProblems } from "../../config/file/problems.ts";
import { configChecks } from "../config-checks.ts";
import { EXIT } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import { printWarnings } from "../terminal/failure-text.ts";
import { print } from "../terminal/output.ts";

/** Checks a configuration file and prints everything that is wrong with it, with line and column. */
export async function validateCommand(
  file: string | undefined,
  flags: CommonFlags,
  process: Process,
): Promise<number> {
  const path = file ?? flags.config;
  try {
    const { config, warnings } = await loadConfig({
      ...(path === undefined ? {} : { file: path }),
      env: process.env,
      directory: process.directory,
      checks: configChecks(process),
    });
    if (flags.output === "text") printWarnings(warnings, process.stderr);
    const names = config.mirrors.map(({ name }) => name);
    await print(
      { file: config.file, valid: true, mirrors: names, warnings },
      () =>
        `${config.file} is valid: ${names.length} ${names.length === 1 ? "mirror" : "mirrors"} (${names.join(", ")})`,
      flags,
      process,
    );
    return EXIT.done;
  } catch (error) {
    if (!isProblems(error)) throw error;
    const { file: read, problems } = error.details;
    await print({ file: read, valid: false, problems }, () => "", flags, process);
    if (flags.output === "text")
      process.stderr.write(`${renderProblems(problems, await readFile(read, "utf8"))}\n`);
    return EXIT.usage;
  }
}
