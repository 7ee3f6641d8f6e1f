import type { Command } from "commander";

import type { InitFlags } from "../commands/init.ts";
import type { CommonFlags, Process } from "../process.ts";
import { type Finish, withCommon, withConfig } from "./common.ts";

/** Commands about configuration files: init, validate, schema. */
export function addFileCommands(program: Command, process: Process, finish: Finish): void {
  program
    .command("init")
    .argument("[file]", "file to write", "tagferry.yaml")
    .description("write a first configuration file; asks for what no flag says")
    .option("--source <repository>", "repository to mirror, such as docker.io/library/nginx")
    .option("--target <target>", "such as imagestream:web/nginx, or harbor.corp.example/mirror/nginx")
    .option("--tags <tags>", "tags with commas (1.27,latest), or a semver range (>=1.27)")
    .option("--force", "replace an existing file")
    .action(async (file: string, flags: InitFlags) => {
      const { initCommand } = await import("../commands/init.ts");
      finish(await initCommand(file, flags, process));
    });
  withCommon(
    withConfig(program.command("validate").argument("[file]", "configuration file (default: as --config)")),
  )
    .description("check a configuration file and show all its problems")
    .action(async (file: string | undefined, flags: CommonFlags) => {
      const { validateCommand } = await import("../commands/validate.ts");
      finish(await validateCommand(file, flags, process));
    });
  program
    .command("schema")
    .description("print the JSON Schema of the configuration file, for editors")
    .action(async () => {
      const { schemaCommand } = await import("../commands/schema.ts");
      await schemaCommand(process);
    });
}
