import type { Config, ForwardedUserTrust, SecretSource } from "../../config/config.ts";
import { openSecretFile } from "../../config/credentials/secret-file.ts";
import { parseListen, isLoopback } from "../../config/daemon.ts";
import { loadConfig } from "../../config/file/load.ts";
import { type Daemon, openDaemon } from "../../daemon/daemon.ts";
import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import type { TrustedProxy } from "../../web/access/caller.ts";
import { openWeb, type Web } from "../../web/server.ts";
import type { HookSecrets } from "../../web/webhooks/webhooks.ts";
import { logOf } from "../clients.ts";
import { configChecks } from "../config-checks.ts";
import { EXIT } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import { printWarnings } from "../terminal/failure-text.ts";
import { VERSION } from "../version.ts";

export type ServeFlags = CommonFlags & {
  readonly listen?: string;
  readonly healthListen?: string;
  readonly workers?: string;
};

const WORKERS_MAX = 256;

/** Runs until a signal stops it. `serve` has schedules and the page; `worker` only does jobs. */
export async function serveCommand(
  kind: "serve" | "worker",
  flags: ServeFlags,
  process: Process,
): Promise<number> {
  const log = logOf(flags, process);
  const load = async (): ReturnType<typeof loadConfig> =>
    loadConfig({
      ...(flags.config === undefined ? {} : { file: flags.config }),
      env: process.env,
      directory: process.directory,
      checks: configChecks(process),
    });
  const first = await load();
  const { config, warnings } = first;
  printWarnings(warnings, process.stderr);
  if (kind === "worker" && !config.daemon.redis)
    throw new TagferryError("CONFIG_REDIS", "a worker needs the Redis that it shares with the daemon", {
      where: config.file,
      found: "no daemon.redis",
    });
  const workers = workersOf(flags);
  const daemon = await openDaemon({
    first,
    load,
    env: process.env,
    log,
    version: VERSION,
    schedules: kind === "serve",
    workers,
  });
  let web: Web | undefined;
  try {
    web = await openListener(kind, daemon, config, flags, log);
    process.stderr.write(
      web ? `tagferry ${kind} on ${web.url}\n` : "tagferry worker is running; it listens on no address\n",
    );
    await aborted(process.signal);
  } finally {
    log.info({ graceMs: config.daemon.graceMs }, "stopping: running work may finish within the grace period");
    await daemon.stop({ signal: AbortSignal.timeout(config.daemon.graceMs) });
    await web?.[Symbol.asyncDispose]();
  }
  log.info("stopped");
  return EXIT.done;
}

/** A daemon listens where the file or a flag says, a worker only where a flag says: both may run with one file. */
async function openListener(
  kind: "serve" | "worker",
  { view }: Daemon,
  { daemon }: Config,
  flags: ServeFlags,
  log: Log,
): Promise<Web | undefined> {
  const common = { view, log, token: daemon.token && secretOf(daemon.token) };
  const health = addressOf(flags.healthListen);
  if (kind === "worker") {
    const listen = addressOf(flags.listen);
    const settings = listen ?? health;
    return settings && openWeb({ ...common, settings, healthSettings: listen && health, only: "health" });
  }
  return openWeb({
    ...common,
    settings: pageAddress(flags, daemon),
    healthSettings: health ?? daemon.healthListen,
    readToken: daemon.readToken && secretOf(daemon.readToken),
    proxy: daemon.trustForwardedUser && proxyOf(daemon.trustForwardedUser),
    webhooks: daemon.webhooks && hookSecretsOf(daemon.webhooks),
  });
}

/** @throws {TagferryError} CONFIG_LISTEN */
function addressOf(text: string | undefined): Config["daemon"]["listen"] | undefined {
  if (text === undefined) return undefined;
  const listen = parseListen(text);
  if (listen) return listen;
  throw new TagferryError("CONFIG_LISTEN", `"${text}" is not an address to listen on`, {
    found: text,
    allowed: "HOST:PORT",
    ...(/^\d+$/.test(text) ? { next: `Write the address too: 127.0.0.1:${text}.` } : {}),
  });
}

function pageAddress({ listen: text }: ServeFlags, daemon: Config["daemon"]): Config["daemon"]["listen"] {
  const listen = addressOf(text);
  if (!listen) return daemon.listen;
  if (!isLoopback(listen.host) && !daemon.token)
    throw new TagferryError(
      "CONFIG_LISTEN",
      `${text} can be reached from other machines, and there is no token`,
      { found: text, allowed: "127.0.0.1:PORT, or any address with daemon.tokenFile" },
    );
  return listen;
}

function workersOf({ workers: text }: ServeFlags): number | undefined {
  if (text === undefined) return undefined;
  const workers = Number(text);
  if (/^\d{1,3}$/.test(text) && workers <= WORKERS_MAX) return workers;
  throw new TagferryError("USAGE", `--workers ${text} is not a number of workers`, {
    found: text,
    allowed: `0 to ${WORKERS_MAX}`,
    next: "Write a number, such as --workers 4.",
  });
}

function proxyOf(trust: ForwardedUserTrust): TrustedProxy {
  return trust.kind === "loopback" ? trust : { kind: "secret", secret: secretOf(trust.secret) };
}

function hookSecretsOf(sources: NonNullable<Config["daemon"]["webhooks"]>): HookSecrets {
  return Object.fromEntries(Object.entries(sources).map(([sender, source]) => [sender, secretOf(source)]));
}

function secretOf(source: SecretSource): () => Promise<string> {
  return source.kind === "file" ? openSecretFile(source.path) : async () => "";
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
