import type { Config } from "../config/config.ts";
import { type Log, openLog } from "../lib/log.ts";
import { type Context, openContext } from "../sync/context.ts";
import type { CommonFlags, Process } from "./process.ts";

/** The log and the clients of the commands that connect to registries and clusters. Other commands do not load this file. */

export function logOf({ logLevel, logFormat }: CommonFlags, { stderr }: Process): Log {
  return openLog({
    level: logLevel,
    format: logFormat ?? (stderr.isTTY ? "pretty" : "json"),
    destination: stderr,
  });
}

export function contextOf(config: Config, flags: CommonFlags, process: Process): Context {
  return openContext({ config, env: process.env, log: logOf(flags, process) });
}
