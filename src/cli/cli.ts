import type { Writable } from "node:stream";

import { Command, CommanderError, Option } from "commander";

import { LOG_LEVELS } from "../lib/log.ts";

/** What a command gets from the process. */
export type Process = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly signal: AbortSignal;
};

/** The flags every command has. */
export type CommonFlags = {
  readonly config?: string;
  readonly output: "text" | "json" | "yaml";
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly logFormat?: "pretty" | "json";
  readonly progress: boolean;
};

export const VERSION = "0.1.0";

/** `docs/output.md` and the README repeat this table. */
const EXIT_CODES = `
Exit codes: 0 done, 1 some tags failed, 2 all failed or the run could not start, 3 configuration or usage,
4 refused credentials, 5 changes found (plan --exit-code) or only policy refusals, 130/143 stopped by a signal.`;

/**
 * Reads the command line, runs the command, prints what failed, and tells the exit code.
 *
 * Only commander is loaded here: each command imports what it needs when it runs, so that help answers at once.
 */
export async function runCommandLine(args: readonly string[], process: Process): Promise<Ended> {
  let ended: Ended = { code: 0, endsBySignal: false };
  const program = commands(process, (code, { endsBySignal = false } = {}) => {
    ended = { code, endsBySignal };
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return ended;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return failed(0);
      process.stderr.write(usage(error, program));
      return failed(3);
    }
    const { printFailure, exitCodeOf } = await import("./terminal/failure.ts");
    printFailure(error, process);
    return { ...ended, code: exitCodeOf(error) };
  }
}

const failed = (code: number): Ended => ({ code, endsBySignal: false });

export type Ended = {
  readonly code: number;
  /** A signal is how a daemon ends, and no failure. */
  readonly endsBySignal: boolean;
};

function usage(error: CommanderError, program: Command): string {
  const message = error.message.replace(/^error: /, "").replaceAll("\n", " ");
  if (error.code === "commander.help") return program.helpInformation();
  return `USAGE  ${message}\n  next     tagferry --help, or tagferry COMMAND --help\n`;
}

type Done = (exitCode: number, options?: { readonly endsBySignal?: boolean }) => void;

function commands(process: Process, done: Done): Command {
  const program = new Command("tagferry")
    .description("Mirrors image tags from other people's registries into OpenShift image streams.")
    .version(VERSION)
    .addHelpText("after", EXIT_CODES)
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => process.stdout.write(text),
      writeErr: () => {}, // we print usage errors in our own form
      getOutHelpWidth: () => process.stdout.columns ?? 110,
    });

  addSync(program, process, done);
  addPlan(program, process, done);
  addCopy(program, process, done);
  addTags(program, process, done);
  addServe(program, process, done);
  addStatus(program, process, done);
  addValidate(program, process, done);
  addSchema(program, process);
  addAuth(program, process, done);
  for (const command of program.commands)
    refuseRepeats(command.exitOverride().copyInheritedSettings(program));
  return program;
}

/** commander lets the last one win in silence. */
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
      new Option("-o, --output <format>", "how results are printed")
        .choices(["text", "json", "yaml"])
        .default("text"),
    )
    .addOption(new Option("--log-level <level>", "how much is logged").choices(LOG_LEVELS).default(logLevel))
    .addOption(
      new Option("--log-format <format>", "default: pretty on a terminal, else json").choices([
        "pretty",
        "json",
      ]),
    )
    .option("--no-progress", "draw and log no progress");
}

function addSync(program: Command, process: Process, done: Done): void {
  withCommon(withConfig(program.command("sync").argument("[mirrors...]", "names of mirrors; all without")))
    .description("check the mirrors and bring their targets up to date, once")
    .action(async (names: string[], flags: CommonFlags) => {
      const { syncCommand } = await import("./commands/sync.ts");
      done(await syncCommand(names, flags, process));
    });
}

function addPlan(program: Command, process: Process, done: Done): void {
  withCommon(withConfig(program.command("plan").argument("[mirrors...]", "names of mirrors; all without")))
    .description("show what sync would do, and why; writes nothing")
    .option("--explain", "show which rule kept or dropped each tag", false)
    .option("--exit-code", "exit with 5 when there is something to do", false)
    .action(async (names: string[], flags: CommonFlags & { explain: boolean; exitCode: boolean }) => {
      const { planCommand } = await import("./commands/plan.ts");
      done(await planCommand(names, flags, process));
    });
}

function addCopy(program: Command, process: Process, done: Done): void {
  const command = program
    .command("copy")
    .argument("<source>", "registry/repository:tag, …@sha256:…, or oci:DIR:tag")
    .argument("<target>", "registry/repository:tag, or oci:DIR:tag");
  withCommon(withConfig(command))
    .description("copy one image, with everything that refers to it")
    .option(
      "--platform <platform...>",
      "only these platforms; the index stays as it is (where the target allows it)",
    )
    .option("--no-referrers", "leave signatures, SBOMs and attestations behind")
    .action(
      async (
        source: string,
        target: string,
        flags: CommonFlags & { platform?: string[]; referrers: boolean },
      ) => {
        const { copyCommand } = await import("./commands/copy.ts");
        done(await copyCommand({ source, target }, flags, process));
      },
    );
}

function addTags(program: Command, process: Process, done: Done): void {
  withCommon(withConfig(program.command("tags").argument("<repository>", "registry/repository, or oci:DIR")))
    .description("list tags with their digests")
    .option("--names", "names only: one listing, no request per tag", false)
    .action(async (repository: string, flags: CommonFlags & { names: boolean }) => {
      const { tagsCommand } = await import("./commands/tags.ts");
      done(await tagsCommand(repository, flags, process));
    });
}

function addServe(program: Command, process: Process, done: Done): void {
  const words = {
    serve: "run the daemon: schedules, queue, workers, web page",
    worker: "run workers only, next to a daemon elsewhere",
  } as const;
  for (const kind of ["serve", "worker"] as const)
    withCommon(withConfig(program.command(kind)), { logLevel: "info" })
      .description(words[kind])
      .option("--listen <host:port>", "where page, API, metrics and health are; default: daemon.listen")
      .option("--workers <count>", "tags in flight in this process; default: daemon.workers")
      .action(async (flags: CommonFlags & { listen?: string; workers?: string }) => {
        done(0, { endsBySignal: true }); // also when it fails: then a connection may still be trying
        const { serveCommand } = await import("./commands/serve.ts");
        done(await serveCommand(kind, flags, process), { endsBySignal: true });
      });
}

function addStatus(program: Command, process: Process, done: Done): void {
  withCommon(withConfig(program.command("status").argument("[mirrors...]", "names of mirrors; all without")))
    .description("ask a running daemon: what is fresh, what is late, what failed")
    .option("--url <url>", "where the daemon is; default: daemon.listen on this machine")
    .option("--token-file <file>", "file with its token; default: daemon.tokenFile")
    .option("--live", "only whether it is alive: exit code 0 or 1", false)
    .action(
      async (names: string[], flags: CommonFlags & { url?: string; tokenFile?: string; live: boolean }) => {
        const { statusCommand } = await import("./commands/status.ts");
        done(await statusCommand(names, flags, process));
      },
    );
}

function addValidate(program: Command, process: Process, done: Done): void {
  withCommon(withConfig(program.command("validate").argument("[file]", "the file; else as --config")))
    .description("check a configuration file, and say everything that is wrong with it")
    .action(async (file: string | undefined, flags: CommonFlags) => {
      const { validateCommand } = await import("./commands/validate.ts");
      done(await validateCommand(file, flags, process));
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

function addAuth(program: Command, process: Process, done: Done): void {
  withCommon(withConfig(program.command("auth").argument("<registries...>", "hosts, or registry/repository")))
    .description("show which credentials win for a registry, and whether they work")
    .action(async (registries: string[], flags: CommonFlags) => {
      const { authCommand } = await import("./commands/auth.ts");
      done(await authCommand(registries, flags, process));
    });
}
