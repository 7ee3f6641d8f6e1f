import type { Config, Mirror } from "../config/config.ts";
import { DEFAULT_DAEMON } from "../config/daemon.ts";
import { closest } from "../config/file/closest.ts";
import { loadConfig } from "../config/file/load.ts";
import type { ErrorCode } from "../errors/codes.ts";
import { TagferryError } from "../errors/error.ts";
import { configChecks } from "./config-checks.ts";
import type { CommonFlags, Process } from "./process.ts";
import { printWarnings } from "./terminal/failure-text.ts";

/** The configuration of a command, and the mirrors that its arguments name. */

type ReadOptions = {
  readonly mirrors?: "required" | "optional";
  /** Warnings that are not printed. */
  readonly quiet?: readonly ErrorCode[];
};

/** Reads the configuration with all checks and prints the warnings on stderr. */
export async function readConfig(
  { config: file }: Pick<CommonFlags, "config">,
  process: Process,
  { mirrors = "required", quiet = [] }: ReadOptions = {},
): Promise<Config> {
  const { env, directory, stderr } = process;
  const { config, warnings } = await loadConfig({
    ...(file === undefined ? {} : { file }),
    env,
    directory,
    mirrors,
    checks: configChecks(process),
  });
  printWarnings(
    warnings.filter(({ code }) => !quiet.includes(code)),
    stderr,
  );
  return config;
}

/** Warnings about mirrors. They do not concern a command that takes its registries as arguments. */
const ABOUT_MIRRORS: readonly ErrorCode[] = ["CONFIG_UNUSED", "CONFIG_KUBECONFIG", "CONFIG_CRON_BOTH_DAYS"];

/**
 * For commands that also work without a configuration file, or with one that has no mirrors. Without a file, all
 * settings have their defaults.
 */
export async function readConfigIfAny(flags: Pick<CommonFlags, "config">, process: Process): Promise<Config> {
  const named = flags.config !== undefined || (process.env["TAGFERRY_CONFIG"] ?? "") !== "";
  try {
    return await readConfig(flags, process, { mirrors: "optional", quiet: ABOUT_MIRRORS });
  } catch (error) {
    if (!named && error instanceof TagferryError && error.code === "CONFIG_NOT_FOUND")
      return { file: "", registries: [], cluster: {}, mirrors: [], daemon: DEFAULT_DAEMON, fingerprint: "" };
    throw error;
  }
}

/** @throws {TagferryError} MIRROR_UNKNOWN */
export function chooseMirrors({ mirrors }: Config, names: readonly string[]): readonly Mirror[] {
  return chooseNamed(mirrors, names);
}

/** @throws {TagferryError} MIRROR_UNKNOWN */
export function chooseNamed<T extends { readonly name: string }>(
  mirrors: readonly T[],
  names: readonly string[],
): readonly T[] {
  if (names.length === 0) return mirrors;
  const unknown = names.find((name) => !mirrors.some((mirror) => mirror.name === name));
  if (unknown !== undefined)
    throw new TagferryError("MIRROR_UNKNOWN", `there is no mirror "${unknown}"`, {
      found: unknown,
      allowed: mirrors.map(({ name }) => name).join(", "),
      ...nextFor(
        unknown,
        mirrors.map(({ name }) => name),
      ),
    });
  return mirrors.filter(({ name }) => names.includes(name));
}

function nextFor(unknown: string, names: readonly string[]): { readonly next?: string } {
  if (/\.ya?ml$/.test(unknown)) return { next: `Write \`-c ${unknown}\` to use this configuration file.` };
  const near = closest(unknown, names);
  return near === undefined ? {} : { next: `Did you mean "${near}"?` };
}
