import { Command, Option } from "commander";

import { LOG_LEVELS } from "../lib/log-level.ts";
import type { CommonFlags, Process } from "./process.ts";
import { VERSION } from "./version.ts";

/** The codes are in exit-code.ts. README.md repeats this text. */
const EXIT_CODES = `
Exit codes: 0 success, 1 some tags failed, 2 all tags failed or the run could not start, 3 wrong configuration or usage,
4 credentials refused, 5 changes found (plan --exit-code) or only refusals by a policy, 130/143 stopped by a signal.`;

/** A command calls this once, with its exit code. */
export type Finish = (exitCode: number, options?: { readonly endsBySignal?: boolean }) => void;

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

  addSync(program, process, finish);
  addPlan(program, process, finish);
  addCopy(program, process, finish);
  addTags(program, process, finish);
  addServe(program, process, finish);
  addStatus(program, process, finish);
  addValidate(program, process, finish);
  addSchema(program, process);
  addAuth(program, process, finish);
  for (const command of program.commands)
    refuseRepeats(command.exitOverride().copyInheritedSettings(program));
  return program;
}

/** commander takes the last value of a repeated option without a word. Here it is an error. */
function refuseRepeats(command: Command): void {
  for (const option of command.options) {
    let given = 0;
    command.on(`option:${option.name()}`, () => {
      given += 1;
      if (given > 1 && !option.variadic) command.error(`option '${option.flags}' is given twice`);
    });
  }
}

function withConfig(command: Command): Command {
  return command.option(
    "-c, --config <file>",
    "configuration file (default: $TAGFERRY_CONFIG, then ./tagferry.yaml)",
  );
}

function withCommon(command: Command, { logLevel = "warn" } = {}): Command {
  return command
    .addOption(
      new Option("-o, --output <format>", "format of the results")
        .choices(["text", "json", "yaml"])
        .default("text"),
    )
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

const MIRROR_NAMES = "names of mirrors (default: all)";

function addSync(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("sync").argument("[mirrors...]", MIRROR_NAMES)))
    .description("check the mirrors once and update their targets")
    .action(async (names: string[], flags: CommonFlags) => {
      const { syncCommand } = await import("./commands/sync.ts");
      finish(await syncCommand(names, flags, process));
    });
}

function addPlan(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("plan").argument("[mirrors...]", MIRROR_NAMES)))
    .description("show what sync would do, and why; write nothing")
    .option("--explain", "show which rule kept or dropped each tag", false)
    .option("--exit-code", "exit with 5 when sync would change something", false)
    .action(async (names: string[], flags: CommonFlags & { explain: boolean; exitCode: boolean }) => {
      const { planCommand } = await import("./commands/plan.ts");
      finish(await planCommand(names, flags, process));
    });
}

function addCopy(program: Command, process: Process, finish: Finish): void {
  const command = program
    .command("copy")
    .argument("<source>", "registry/repository:tag, …@sha256:…, or oci:DIR:tag")
    .argument("<target>", "registry/repository:tag, or oci:DIR:tag");
  withCommon(withConfig(command))
    .description("copy one image, with its signatures and other referrers")
    .option(
      "--platform <platform...>",
      "copy only these platforms; the index stays unchanged (where the target allows it)",
    )
    .option("--no-referrers", "do not copy signatures, SBOMs and attestations")
    .option("--max-image-size <size>", "refuse a larger image, such as 500MiB", "500GiB")
    .action(
      async (
        source: string,
        target: string,
        flags: CommonFlags & { platform?: string[]; referrers: boolean; maxImageSize: string },
      ) => {
        const { copyCommand } = await import("./commands/copy.ts");
        finish(await copyCommand({ source, target }, flags, process));
      },
    );
}

function addTags(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("tags").argument("<repository>", "registry/repository, or oci:DIR")))
    .description("list tags with their digests")
    .option("--names", "list names only: no request per tag", false)
    .action(async (repository: string, flags: CommonFlags & { names: boolean }) => {
      const { tagsCommand } = await import("./commands/tags.ts");
      finish(await tagsCommand(repository, flags, process));
    });
}

function addServe(program: Command, process: Process, finish: Finish): void {
  const descriptions = {
    serve: "run the daemon: schedules, queue, workers, web page",
    worker: "run only workers, next to a daemon in another process",
  } as const;
  for (const kind of ["serve", "worker"] as const)
    withCommon(withConfig(program.command(kind)), { logLevel: "info" })
      .description(descriptions[kind])
      .option(
        "--listen <host:port>",
        "address of page, API, metrics and health checks (default: daemon.listen)",
      )
      .option("--workers <count>", "tags that this process copies at once (default: daemon.workers)")
      .action(async (flags: CommonFlags & { listen?: string; workers?: string }) => {
        finish(0, { endsBySignal: true }); // for a failure too: a connection to Redis may still be open
        const { serveCommand } = await import("./commands/serve.ts");
        finish(await serveCommand(kind, flags, process), { endsBySignal: true });
      });
}

function addStatus(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("status").argument("[mirrors...]", MIRROR_NAMES)))
    .description("ask a running daemon which mirrors are fresh, late or failing")
    .option("--url <url>", "address of the daemon (default: daemon.listen on this machine)")
    .option("--token-file <file>", "file with the token of the daemon (default: daemon.tokenFile)")
    .option("--live", "only check that the daemon is alive: exit code 0 or 1", false)
    .action(
      async (names: string[], flags: CommonFlags & { url?: string; tokenFile?: string; live: boolean }) => {
        const { statusCommand } = await import("./commands/status.ts");
        finish(await statusCommand(names, flags, process));
      },
    );
}

function addValidate(program: Command, process: Process, finish: Finish): void {
  withCommon(
    withConfig(program.command("validate").argument("[file]", "configuration file (default: as --config)")),
  )
    .description("check a configuration file and show all its problems")
    .action(async (file: string | undefined, flags: CommonFlags) => {
      const { validateCommand } = await import("./commands/validate.ts");
      finish(await validateCommand(file, flags, process));
    });
}

function addSchema(program: Command, process: Process): void {
  program
    .command("schema")
    .description("print the JSON Schema of the configuration file, for editors")
    .action(async () => {
      const { schemaCommand } = await import("./commands/schema.ts");
      await schemaCommand(process);
    });
}

function addAuth(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("auth").argument("<registries...>", "hosts, or registry/repository")))
    .description("show which credentials are used for a registry, and whether they work")
    .action(async (registries: string[], flags: CommonFlags) => {
      const { authCommand } = await import("./commands/auth.ts");
      finish(await authCommand(registries, flags, process));
    });
}
