import { rename, rm, stat, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import { loadConfig } from "../../config/file/load.ts";
import { isProblems, type Problem } from "../../config/file/problems.ts";
import { TagferryError } from "../../errors/error.ts";
import { checkTagRules } from "../../plan/patterns.ts";
import { EXIT } from "../exit-code.ts";
import type { Process } from "../process.ts";
import { openAsker } from "../terminal/ask.ts";

export type InitFlags = {
  readonly source?: string;
  readonly target?: string;
  readonly tags?: string;
  readonly force?: boolean;
};

type Answers = { readonly source: string; readonly target: string; readonly tags: string };

const QUESTIONS = {
  source: { text: "Which repository do you want to mirror?", example: "docker.io/library/nginx" },
  target: { text: "Where should its tags go?", example: "imagestream:web/nginx" },
  tags: { text: "Which tags? Names with commas, or a semver range", example: "latest" },
} as const;

/** Writes a first configuration file that is valid. Asks for what the flags do not say, if there is a terminal. */
export async function initCommand(name: string, flags: InitFlags, process: Process): Promise<number> {
  const file = resolve(process.directory, name);
  if (!flags.force && (await exists(file)))
    throw new TagferryError("OUTPUT_PATH", `${file} exists`, {
      where: file,
      next: "Use another name (`tagferry init FILE`), or --force to replace it.",
    });
  const answers = await complete(flags, process);
  const text = fileText(answers);
  await writeValid(file, text, process);
  process.stdout.write(
    `wrote ${file}\n\nNext:\n  tagferry plan${configFlag(name)}   shows what sync would do, and writes nothing\n  tagferry sync${configFlag(name)}   does it\n`,
  );
  return EXIT.done;
}

function configFlag(name: string): string {
  return name === "tagferry.yaml" ? "" : ` -c ${name}`;
}

async function complete(flags: InitFlags, process: Process): Promise<Answers> {
  const { source, target, tags } = flags;
  if (source !== undefined && target !== undefined && tags !== undefined) return { source, target, tags };
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    const missing = (["source", "target", "tags"] as const).filter((key) => flags[key] === undefined);
    throw new TagferryError("USAGE", `init cannot ask here: there is no terminal`, {
      found: `no ${missing.map((key) => `--${key}`).join(", ")}`,
      allowed: "--source, --target and --tags",
      next: "Run `tagferry init --help` for an example.",
    });
  }
  using asker = openAsker(process);
  const from = source ?? (await asker.ask(QUESTIONS.source));
  const proposed = { ...QUESTIONS.target, example: targetFor(from) };
  return {
    source: from,
    target: target ?? (await asker.ask(proposed)),
    tags: tags ?? (await asker.ask(QUESTIONS.tags)),
  };
}

/** A stream with the last component of the source as its name. */
function targetFor(source: string): string {
  const name = source.split("/").at(-1)?.split(/[:@]/, 1)[0] ?? "";
  return /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(name) ? `imagestream:web/${name}` : QUESTIONS.target.example;
}

function fileText({ source, target, tags }: Answers): string {
  return `# Editors complete the keys of this file with the schema that \`tagferry schema\` prints.
version: 1

# defaults:
#   schedule: "*/30 * * * *"    # for \`tagferry serve\`

mirrors:
  - source: ${scalar(source)}
    target: ${scalar(target)}
    tags: ${tagsText(tags)}
`;
}

/** A range has a comparison or a wildcard: `>=1.27`, `^1`, `1.x`. Everything else is names with commas. */
function tagsText(tags: string): string {
  if (/[<>^~]|\.[xX*](?:$|\s|\.)/.test(tags)) return `{ semver: ${scalar(tags)} }`;
  const names = tags
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  return `[${names.map(scalar).join(", ")}]`;
}

/** JSON strings are YAML strings: no word in them has a special meaning. */
function scalar(text: string): string {
  return JSON.stringify(text.trim());
}

/** Validates the text under a temporary name, so that a wrong answer leaves no file. */
async function writeValid(file: string, text: string, { env, directory }: Process): Promise<void> {
  const temporary = `${file}.new`;
  try {
    await writeFile(temporary, text, { flag: "wx" });
  } catch (cause) {
    throw new TagferryError("OUTPUT_PATH", `${file} cannot be written`, {
      cause,
      where: file,
      found: (cause as NodeJS.ErrnoException).code,
    });
  }
  try {
    await loadConfig({ file: temporary, env, directory, checks: [checkTagRules] });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw isProblems(error) ? wrongAnswer(error.details.problems[0]) : error;
  }
}

/** The file that the problem is in does not stay, so its line is not told. */
function wrongAnswer(problem: Problem | undefined): TagferryError {
  if (!problem) return new TagferryError("USAGE", "the answers are not valid");
  const { code, message, found, allowed, next } = problem;
  return new TagferryError(code, message, { found, allowed, next });
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
