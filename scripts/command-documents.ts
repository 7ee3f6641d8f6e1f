import { PassThrough } from "node:stream";

import type { Command, Option } from "commander";

import { EXIT_CODES, openProgram } from "../src/cli/program.ts";
import { EXAMPLES } from "../src/cli/syntax/examples.ts";

/** The commands, as the help describes them. */
function commands(): readonly Command[] {
  const program = openProgram(
    {
      env: {},
      directory: "/",
      nodeVersion: "",
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
      signal: new AbortController().signal,
    },
    () => {},
  );
  return program.createHelp().visibleCommands(program);
}

const COMMON = new Set(["--config", "--output", "--log-level", "--log-format", "--no-progress"]);

/** docs/commands.md */
export function commandsPage(): string {
  const all = commands();
  const common = all[0]?.options.filter(isCommon) ?? [];
  return `# Commands

This page is generated from the help. \`tagferry COMMAND --help\` shows the same, and \`tagferry completion bash\` (or \`zsh\`, \`fish\`) prints a script that
completes commands, flags and names of mirrors. Results go to stdout, logs and progress to stderr. On a terminal, progress is a bar per image; elsewhere it is
one line when an image begins and one when it ends.

${EXIT_CODES.trim().replaceAll("\n", " ")}

## Flags of most commands

${flagTable(common)}
${all.map(section).join("\n")}
## What commands keep on this machine

\`tagferry sync\` notes when it proved that the content of a tag is complete, so that unchanged tags are not verified in each run (\`verifyEvery\`). The notes are in
\`$XDG_CACHE_HOME/tagferry/proofs.json\` (default: \`~/.cache/tagferry/proofs.json\`). If the file is deleted, the next run verifies all tags again, and nothing else
changes. Without a home directory nothing is kept. A daemon keeps the same notes in its records: in Redis or in \`daemon.stateFile\`.

## Certificates and proxies

The certificate authorities of the system are trusted besides those of Node, and so is \`ca\` of a registry. \`SSL_CERT_FILE\` and \`SSL_CERT_DIR\` name others
instead of those of the system. \`HTTPS_PROXY\`, \`HTTP_PROXY\`, \`ALL_PROXY\` and \`NO_PROXY\` choose a proxy.
`;
}

function section(command: Command): string {
  const own = command.options.filter((option) => !isCommon(option));
  const examples = EXAMPLES[command.name()] ?? [];
  return `## \`tagferry ${command.name()}\`

${sentence(command.description())}

\`\`\`
${usageOf(command)}
\`\`\`
${own.length > 0 ? `\n${flagTable(own)}` : ""}
\`\`\`sh
${examples.map(([line, what]) => (what === "" ? line : `${line}   # ${what}`)).join("\n")}
\`\`\`
`;
}

function usageOf(command: Command): string {
  const parts = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return ["tagferry", command.name(), ...(command.options.length > 0 ? ["[options]"] : []), ...parts].join(
    " ",
  );
}

function isCommon({ long, argChoices }: Option): boolean {
  return COMMON.has(long ?? "") && argChoices?.includes("markdown") !== true;
}

function flagTable(options: readonly Option[]): string {
  const rows = options.map(
    (option) => `| \`${option.flags}\` | ${factsOf(option).replaceAll("|", "\\|")} |\n`,
  );
  return `| flag | what it does |\n|---|---|\n${rows.join("")}`;
}

function factsOf({ description, argChoices, defaultValue }: Option): string {
  const choices = argChoices ? `. One of ${argChoices.join(", ")}` : "";
  const fallback = typeof defaultValue === "string" ? `. Default: ${defaultValue}` : "";
  return `${description}${choices}${fallback}`;
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

/** docs/tagferry.1, the man page: `man ./docs/tagferry.1`. @see man-pages(7) */
export function manPage(): string {
  const all = commands();
  return `.\\" This page is generated from the help.
.TH TAGFERRY 1
.SH NAME
tagferry \\- mirror image tags into OpenShift image streams, registries and OCI image layouts
.SH SYNOPSIS
${all.map((command) => `.B ${roff(usageOf(command))}\n.br`).join("\n")}
.SH COMMANDS
${all.map(manSection).join("\n")}
.SH EXIT STATUS
${roff(EXIT_CODES.trim().replaceAll("\n", " "))}
.SH ENVIRONMENT
.TP
.B TAGFERRY_CONFIG
The configuration file, when no flag names one.
.TP
.B HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
The proxy.
.TP
.B SSL_CERT_FILE, SSL_CERT_DIR
Certificate authorities instead of those of the system.
.TP
.B NO_COLOR
No colors.
.SH FILES
.TP
.I ./tagferry.yaml
The configuration.
.TP
.I ~/.cache/tagferry/proofs.json
When sync proved that the content of a tag is complete.
`;
}

function manSection(command: Command): string {
  const examples = EXAMPLES[command.name()] ?? [];
  return `.SS ${roff(usageOf(command))}
${roff(sentence(command.description()))}
${command.options.map((option) => `.TP\n.B ${roff(option.flags)}\n${roff(factsOf(option))}`).join("\n")}
.PP
Examples:
.PP
.nf
.RS
${examples.map(([line, what]) => roff(what === "" ? line : `${line}   # ${what}`)).join("\n")}
.RE
.fi`;
}

function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
}
