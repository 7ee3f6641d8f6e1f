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

type ServeFlags = CommonFlags & { readonly listen?: string; readonly workers?: string };

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
    process.stderr.write(`tagferry ${kind} on ${web.url}\n`);
    await aborted(process.signal);
  } finally {
    log.info({ graceMs: config.daemon.graceMs }, "stopping: running work may finish within the grace period");
    await daemon.stop({ signal: AbortSignal.timeout(config.daemon.graceMs) });
    await web?.[Symbol.asyncDispose]();
  }
  log.info("stopped");
  return EXIT.done;
}

async function openListener(
  kind: "serve" | "worker",
  { view }: Daemon,
  { daemon }: Config,
  flags: ServeFlags,
  log: Log,
): Promise<Web> {
  return openWeb({
    view,
    settings: listenOf(flags, daemon),
    healthSettings: daemon.healthListen,
    token: daemon.token && secretOf(daemon.token),
    readToken: daemon.readToken && secretOf(daemon.readToken),
    proxy: daemon.trustForwardedUser && proxyOf(daemon.trustForwardedUser),
    webhooks: daemon.webhooks && hookSecretsOf(daemon.webhooks),
    log,
    ...(kind === "worker" ? { only: "health" as const } : {}),
  });
}

function listenOf({ listen: text }: ServeFlags, daemon: Config["daemon"]): Config["daemon"]["listen"] {
  if (text === undefined) return daemon.listen;
  const listen = parseListen(text);
  if (!listen)
    throw new TagferryError("CONFIG_LISTEN", `"${text}" is not an address to listen on`, {
      found: text,
      allowed: "HOST:PORT",
    });
  if (!isLoopback(listen.host) && !daemon.token)
    throw new TagferryError(
      "CONFIG_LISTEN",
      `${text} can be reached from other machines, and there is no token`,
      {
        found: text,
        allowed: "127.0.0.1:PORT, or any address with daemon.tokenFile",
      },
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
