import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import { type Failure, TagferryError } from "../../errors/error.ts";
import { checkMirrors } from "../check-mirrors.ts";
import { readClusters } from "../clusters.ts";
import type { Config } from "../config.ts";
import { readDaemon } from "../daemon.ts";
import { readMirrors } from "../mirrors.ts";
import { readRegistries } from "../registries/registries.ts";
import { unusedRegistries } from "../registries/unused.ts";
import { type Environment, replaceVariables } from "./environment.ts";
import { keysAt } from "./keys.ts";
import { namedFiles } from "./named-files.ts";
import type { Problem } from "./problems.ts";
import { fileSchema, type FileShape, fileWithoutMirrorsSchema } from "./schema.ts";
import { problemsOfShape } from "./shape.ts";
import { type Path, readYaml, type YamlFile } from "./yaml.ts";

/** A problem that only an upper layer can detect: a pattern that does not compile, a schedule that never fires. */
export type UpperProblem = Pick<Problem, "code" | "message" | "found" | "allowed"> & {
  /** Default: the advice of the code. */
  readonly next?: string | undefined;
  /** The configuration works, but probably not as intended. */
  readonly warning?: boolean;
  readonly path: Path;
  /** The item, when `path` is a list. */
  readonly value?: string;
};

export type LoadOptions = {
  /** Default: $TAGFERRY_CONFIG, otherwise ./tagferry.yaml. */
  readonly file?: string;
  readonly env: Environment;
  readonly directory: string;
  /** Default: a file without mirrors is refused. */
  readonly mirrors?: "required" | "optional";
  readonly checks?: readonly ((config: Config) => readonly UpperProblem[])[];
};

export type Loaded = {
  readonly config: Config;
  readonly warnings: readonly Failure[];
  /** Absolute paths of the files that the configuration names. When one of them changes, it has to be read again. */
  readonly files: readonly string[];
};

const FILE_MAX_BYTES = 1024 * 1024;

/**
 * Reads the configuration. Reports all problems at once, in the order of their lines.
 *
 * @throws {TagferryError} CONFIG_INVALID with `details.problems`, or another code when the file as a whole is wrong
 */
export async function loadConfig({
  file,
  env,
  directory,
  mirrors = "required",
  checks = [],
}: LoadOptions): Promise<Loaded> {
  const path = resolve(directory, file ?? (env["TAGFERRY_CONFIG"] || "tagferry.yaml"));
  const text = await readText(path);
  const { yaml, problems } = readYaml(path, text);
  refuse(path, problems);
  const replaced = replaceVariables(yaml.value, env, yaml);
  // jitless: compiling the schema costs more than reading one file with it
  const schema = mirrors === "required" ? fileSchema : fileWithoutMirrorsSchema;
  const shape = schema.safeParse(replaced.value, { jitless: true });
  if (!shape.success)
    refuse(path, besides(replaced.problems, problemsOfShape(shape.error.issues, yaml, keysAt)));
  refuse(path, shape.success ? [] : [yaml.problem([], "CONFIG_TYPE", "the file is not a configuration")]);
  const {
    config,
    problems: found,
    warnings,
  } = readShape(shape.data as FileShape, yaml, {
    path,
    fingerprint: createHash("sha256").update(text).digest("hex"),
  });
  const judged = upper(config, yaml, checks);
  refuse(
    path,
    besides(replaced.problems, [
      ...found,
      ...judged.filter(({ warning }) => !warning).map(({ problem }) => problem),
    ]),
  );
  const doubts = judged.filter(({ warning }) => warning).map(({ problem }) => problem);
  return {
    config,
    files: namedFiles({ ...(shape.data as FileShape), mirrors: [] }, dirname(path)),
    warnings: [...warnings, ...doubts].map(({ code, message, where, next, found: what }) => ({
      code,
      message,
      next,
      details: { where, found: what },
    })),
  };
}

/** Leaves out problems that follow from others: a variable that is not set leaves an empty value. */
function besides(first: readonly Problem[], others: readonly Problem[]): readonly Problem[] {
  return [...first, ...others.filter(({ where }) => !first.some((one) => one.where === where))];
}

function readShape(
  shape: FileShape,
  yaml: YamlFile,
  { path, fingerprint }: { readonly path: string; readonly fingerprint: string },
): { readonly config: Config; readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] } {
  const directory = dirname(path);
  const read = readRegistries(shape.registries ?? {}, { yaml, raw: yaml.value, directory });
  const { mirrors, problems } = readMirrors(shape, { yaml, directory });
  const cluster = readClusters(shape.clusters ?? {}, yaml, directory);
  const daemon = readDaemon(shape.daemon ?? {}, { yaml, directory });
  const config: Config = {
    file: path,
    fingerprint,
    daemon: daemon.settings,
    registries: read.registries.map(({ settings }) => settings),
    cluster: cluster.settings,
    mirrors: mirrors.map(({ mirror }) => mirror),
  };
  return {
    config,
    problems: [
      ...read.problems,
      ...cluster.problems,
      ...daemon.problems,
      ...problems,
      ...checkMirrors(mirrors, yaml),
    ],
    warnings: [
      ...read.warnings,
      ...cluster.warnings,
      ...unusedRegistries(read.registries, config.mirrors, config.cluster, yaml),
    ],
  };
}

/** Upper layers know the parsed record. This finds the position of the text in the file. */
function upper(
  config: Config,
  yaml: YamlFile,
  checks: NonNullable<LoadOptions["checks"]>,
): readonly { readonly problem: Problem; readonly warning: boolean }[] {
  return checks
    .flatMap((check) => check(config))
    .map(({ path, value, code, message, found, allowed, next, warning = false }) => ({
      warning,
      problem: yaml.problem(exactPath(yaml, path, value), code, message, { found, allowed, next }),
    }));
}

function exactPath(yaml: YamlFile, path: Path, value: string | undefined): Path {
  const [first, position, ...rest] = path;
  const own =
    first === "mirrors"
      ? rest.reduce<unknown>(step, step(step(yaml.value, "mirrors"), position ?? 0))
      : undefined;
  // a key from `defaults` has its position there
  const base: Path = own === undefined && first === "mirrors" ? ["defaults", ...rest] : path;
  const node = base.reduce<unknown>(step, yaml.value);
  const item = Array.isArray(node) && value !== undefined ? node.indexOf(value) : -1;
  return item === -1 ? base : [...base, item];
}

function step(node: unknown, part: string | number): unknown {
  return typeof node === "object" && node !== null
    ? (node as Record<string | number, unknown>)[part]
    : undefined;
}

function refuse(file: string, problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const sorted = problems.toSorted((one, other) => one.line - other.line || one.column - other.column);
  const count = `${sorted.length} ${sorted.length === 1 ? "problem" : "problems"}`;
  throw new TagferryError("CONFIG_INVALID", `${file} has ${count}`, { file, problems: sorted });
}

/**
 * @throws {TagferryError} CONFIG_NOT_FOUND, CONFIG_NOT_FILE, CONFIG_READ, CONFIG_TOO_LARGE, CONFIG_ENCODING,
 *   CONFIG_EMPTY
 */
async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  const head = [...bytes.subarray(0, 2)];
  if (bytes.includes(0) || (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff))
    throw new TagferryError("CONFIG_ENCODING", `${path} is not UTF-8`, {
      where: path,
      found: bytes.includes(0) ? "a NUL byte" : "UTF-16",
    });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TagferryError("CONFIG_ENCODING", `${path} is not UTF-8`, {
      cause,
      where: path,
      found: oddByteOf(bytes),
    });
  }
  if (text.split(/\r?\n/).every((line) => /^\s*(?:#|$|---|\.\.\.)/.test(line)))
    throw new TagferryError("CONFIG_EMPTY", `${path} says nothing`, { where: path });
  return text;
}

/** The first byte that is not UTF-8, and its line. It is often a letter in a Latin-1 file. */
function oddByteOf(bytes: Buffer): string {
  const good = Buffer.from(bytes.toString("utf8"));
  const at = bytes.findIndex((byte, position) => byte !== good[position]);
  const line = bytes.subarray(0, at).reduce((count, byte) => count + (byte === 10 ? 1 : 0), 1);
  return `byte 0x${(bytes[at] ?? 0).toString(16)} on line ${line}`;
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    // O_NONBLOCK: opening a pipe without a writer must not hang
    await using handle = await open(path, 0o4000);
    const stats = await handle.stat();
    if (!stats.isFile())
      throw new TagferryError("CONFIG_NOT_FILE", `${path} is not a regular file`, {
        where: path,
        found: stats.isDirectory() ? "a directory" : "a pipe or a device",
      });
    if (stats.size > FILE_MAX_BYTES)
      throw new TagferryError("CONFIG_TOO_LARGE", `${path} is larger than 1 MiB`, {
        where: path,
        found: `${stats.size} bytes`,
        allowed: `${FILE_MAX_BYTES} bytes`,
      });
    return await handle.readFile();
  } catch (error) {
    if (error instanceof TagferryError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR")
      throw new TagferryError("CONFIG_NOT_FOUND", `there is no configuration at ${path}`, {
        cause: error,
        where: path,
      });
    if (code === "ENXIO")
      throw new TagferryError("CONFIG_NOT_FILE", `${path} is not a regular file`, {
        cause: error,
        where: path,
      });
    throw new TagferryError("CONFIG_READ", `${path} cannot be read`, {
      cause: error,
      where: path,
      found: code,
    });
  }
}
