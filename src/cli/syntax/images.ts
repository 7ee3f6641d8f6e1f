import type { Command } from "commander";

import type { CopyFlags } from "../commands/copy.ts";
import type { CommonFlags, Process } from "../process.ts";
import { commaList, type Finish, withCommon, withConfig } from "./common.ts";

/** Commands about single images and registries: copy, tags, auth. They need no mirrors in the configuration. */
export function addImageCommands(program: Command, process: Process, finish: Finish): void {
  addCopy(program, process, finish);
  addTags(program, process, finish);
  addAuth(program, process, finish);
}

function addCopy(program: Command, process: Process, finish: Finish): void {
  const command = program
    .command("copy")
    .argument("<source>", "registry/repository:tag, …@sha256:…, or oci:DIR:tag")
    .argument("<target>", "registry/repository:tag, or oci:DIR:tag");
  withCommon(withConfig(command))
    .description("copy one image, with its signatures and other referrers")
    .option(
      "--platform <list>",
      "copy only these platforms, such as linux/amd64,linux/arm64; the index stays unchanged",
      commaList,
    )
    .option("--no-referrers", "do not copy signatures, SBOMs and attestations")
    .option("--max-image-size <size>", "refuse a larger image, such as 500MiB", "500GiB")
    .action(async (source: string, target: string, flags: CopyFlags) => {
      const { copyCommand } = await import("../commands/copy.ts");
      finish(await copyCommand({ source, target }, flags, process));
    });
}

function addTags(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("tags").argument("<repository>", "registry/repository, or oci:DIR")))
    .description("list tags with their digests")
    .option("--names", "list names only: no request per tag")
    .action(async (repository: string, flags: CommonFlags & { names?: boolean }) => {
      const { tagsCommand } = await import("../commands/tags.ts");
      finish(await tagsCommand(repository, flags, process));
    });
}

function addAuth(program: Command, process: Process, finish: Finish): void {
  withCommon(withConfig(program.command("auth").argument("<registries...>", "hosts, or registry/repository")))
    .description("show which credentials are used for a registry, and whether they work")
    .action(async (registries: string[], flags: CommonFlags) => {
      const { authCommand } = await import("../commands/auth.ts");
      finish(await authCommand(registries, flags, process));
    });
}
