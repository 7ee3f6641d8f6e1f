import { join } from "node:path";

import type { Config } from "../config/config.ts";
import { type Log, openLog } from "../lib/log.ts";
import { type Context, type ContextOptions, openContext } from "../sync/context.ts";
import { fileProofs } from "../sync/proofs/proof-file.ts";
import type { ProofStore } from "../sync/proofs/proofs.ts";
import type { CommonFlags, Process } from "./process.ts";

/** The log and the clients of commands that connect to registries and clusters. Other commands do not load it. */

type LogFlags = Pick<CommonFlags, "logLevel" | "logFormat">;

export function logOf({ logLevel, logFormat }: LogFlags, { stderr }: Process): Log {
  return openLog({
    level: logLevel,
    format: logFormat ?? (stderr.isTTY ? "pretty" : "json"),
    destination: stderr,
  });
}

export function contextOf(
  config: Config,
  flags: LogFlags,
  process: Process,
  options: Pick<ContextOptions, "proofs"> = {},
): Context {
  return openContext({ config, env: process.env, log: logOf(flags, process), ...options });
}

/** Proofs of earlier runs, kept in the user's cache directory. undefined: there is no such directory. */
export function proofsOf({ env }: Process): (ProofStore & AsyncDisposable) | undefined {
  const { XDG_CACHE_HOME: cache, HOME: home } = env;
  const directory = cache ?? (home === undefined ? undefined : join(home, ".cache"));
  return directory === undefined ? undefined : fileProofs(join(directory, "tagferry", "proofs.json"));
}
