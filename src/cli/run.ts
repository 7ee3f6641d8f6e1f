import type { Config, Mirror } from "../config/config.ts";
import { DEFAULT_DAEMON } from "../config/daemon.ts";
import { loadConfig } from "../config/file/load.ts";
import { checkSchedules } from "../daemon/triggers/cron.ts";
import { type Failure, TagferryError } from "../errors/error.ts";
import { type Log, openLog } from "../lib/log.ts";
import { checkTagRules } from "../plan/patterns.ts";
import { type Context, openContext } from "../sync/context.ts";
import type { CommonFlags, Process } from "./cli.ts";
import { renderFailure } from "./terminal/render.ts";

/** What the commands share: the log, the configuration, the mirrors that were named, and the clients. */

export function logOf({ logLevel, logFormat }: CommonFlags, { stderr }: Process): Log {
  return openLog({
    level: logLevel,
    format: logFormat ?? (stderr.isTTY ? "pretty" : "json"),
    destination: stderr,
  });
}

/** Reads the configuration with every check there is; warnings go to stderr. */
export async function readConfig(
  { config: file }: Pick<CommonFlags, "config">,
  { env, directory, stderr }: Process,
): Promise<Config> {
  const { config, warnings } = await loadConfig({
    ...(file === undefined ? {} : { file }),
    env,
    directory,
    checks: [checkTagRules, checkSchedules],
  });
  printWarnings(warnings, stderr);
  return config;
}

export function printWarnings(warnings: readonly Failure[], stderr: Process["stderr"]): void {
  for (const warning of warnings) stderr.write(`warning: ${renderFailure(warning)}\n`);
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
    });
  return mirrors.filter(({ name }) => names.includes(name));
}

export function contextOf(config: Config, flags: CommonFlags, process: Process): Context {
  return openContext({ config, env: process.env, log: logOf(flags, process) });
}

/** The configuration of commands that need none: what the file says about registries, when there is one. */
export async function readConfigIfAny(flags: CommonFlags, process: Process): Promise<Config> {
  const named = flags.config !== undefined || (process.env["TAGFERRY_CONFIG"] ?? "") !== "";
  try {
    return await readConfig(flags, process);
  } catch (error) {
    if (!named && error instanceof TagferryError && error.code === "CONFIG_NOT_FOUND")
      return { file: "", registries: [], cluster: {}, mirrors: [], daemon: DEFAULT_DAEMON, fingerprint: "" };
    throw error;
  }
}
