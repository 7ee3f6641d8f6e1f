import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createSign, randomUUID, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";

import { type Certificate, makeCertificates } from "./certificates.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { listen } from "./registry/registry.ts";
import { openRules, type Rules } from "./registry/rules.ts";
import { type Grants, tokenEndpoint, type TokenServerOptions } from "./token-server.ts";

export { makeCertificates };

/** The user who may log in to the servers of this file. */
export const USERNAME = "ferry";
export const PASSWORD = "correct-horse";
// bcrypt, the only hash docker-registry takes
const HTPASSWD = `${USERNAME}:$2y$04$abcdefghijklmnopqrstuuPoaPXzWjiVz4HaNq2LJXksWbO79E.S6\n`;
const SERVICE = "docker-registry";
const ISSUER = "tagferry-test";

export type DockerRegistryOptions = {
  readonly auth?: "none" | "htpasswd" | "bearer";
  readonly tls?: boolean;
  /** Default true. */
  readonly deleteEnabled?: boolean;
  /** Default memory; else a directory that outlives the server. */
  readonly storage?: "memory" | { readonly directory: string };
  readonly readOnly?: boolean;
  readonly port?: number;
};

export type DockerRegistry = AsyncDisposable & {
  /** 127.0.0.1:PORT, or localhost:PORT with TLS. */
  readonly host: string;
  readonly url: string;
  readonly pid: number;
  /** With `auth: "bearer"`. */
  readonly tokens?: TokenServer;
  /** SIGKILL, as when its machine fails. */
  kill(): Promise<void>;
};

/** Debian's docker-registry (distribution 2.8) on a port of its own. */
export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const { tls = false, auth = "none", port = 0 } = options;
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "tagferry-registry-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const tokens = auth === "bearer" ? stack.use(await startTokenServer({ tls })) : undefined;
  const { server, ca } = await makeCertificates();
  await writeFile(join(directory, "htpasswd"), HTPASSWD);
  const config = {
    version: "0.1",
    log: { level: "info", accesslog: { disabled: true } },
    storage: {
      ...storageConfig(options.storage ?? "memory"),
      delete: { enabled: options.deleteEnabled ?? true },
      maintenance: { uploadpurging: { enabled: false }, readonly: { enabled: options.readOnly ?? false } },
    },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: "shared",
      ...(tls ? { tls: { certificate: server.certFile, key: server.keyFile } } : {}),
    },
    ...authConfig(auth, { directory, realm: `${tokens?.url ?? ""}/token`, bundle: ca.certFile }),
  };
  // JSON is YAML
  await writeFile(join(directory, "config.yml"), JSON.stringify(config));
  const child = spawnBound("docker-registry", ["serve", join(directory, "config.yml")]);
  stack.defer(() => end(child, "SIGTERM"));
  const bound = await readyPort(child);
  const host = `${tls ? "localhost" : "127.0.0.1"}:${bound}`;
  const owned = stack.move();
  return {
    host,
    url: `${tls ? "https" : "http"}://${host}`,
    pid: child.pid ?? 0,
    ...(tokens ? { tokens } : {}),
    kill: () => end(child, "SIGKILL"),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function storageConfig(storage: "memory" | { readonly directory: string }): Record<string, unknown> {
  if (storage === "memory") return { inmemory: {} };
  return { filesystem: { rootdirectory: storage.directory } };
}

function authConfig(
  auth: "none" | "htpasswd" | "bearer",
  { directory, realm, bundle }: { directory: string; realm: string; bundle: string },
): Record<string, unknown> {
  switch (auth) {
    case "none":
      return {};
    case "htpasswd":
      return { auth: { htpasswd: { realm: "test", path: join(directory, "htpasswd") } } };
    case "bearer":
      return { auth: { token: { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: bundle } } };
  }
}

/** A child that cannot outlive this process, even when it is killed. */
function spawnBound(command: string, args: readonly string[]): ChildProcess {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], OTEL_TRACES_EXPORTER: "none" },
  });
  child.stdout?.resume();
  return child;
}

async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill(signal);
  // a connection that a client holds open keeps docker-registry from leaving
  const patience = new AbortController();
  void wait(500, undefined, { signal: patience.signal }).then(
    () => child.kill("SIGKILL"),
    () => {},
  );
  await exit;
  patience.abort();
}

/** The port docker-registry says it listens on. */
async function readyPort(child: ChildProcess): Promise<number> {
  const said = await firstLines(child, /listening on [^"]*:\d+/);
  // if nobody reads its log, the pipe fills and the process stops
  child.stderr?.resume();
  const port = /listening on [^"]*:(\d+)/.exec(said)?.[1];
  if (port === undefined) throw new Error(`docker-registry did not start:\n${said}`);
  return Number(port);
}

/** The complete output of a child until `pattern` or its end. */
async function firstLines(child: ChildProcess, pattern: RegExp): Promise<string> {
  let said = "";
  if (!child.stderr) return said;
  for await (const line of createInterface({ input: child.stderr })) {
    said += `${line}\n`;
    if (pattern.test(line)) break;
  }
  return said;
}

export type TokenServer = AsyncDisposable &
  Pick<Rules, "on" | "gate"> & { readonly host: string; readonly url: string; readonly ledger: Ledger };

/** Issues RS256 tokens that docker-registry accepts, by the certificate in their header. */
export async function startTokenServer({
  tls = false,
  ...options
}: Partial<TokenServerOptions> & { readonly tls?: boolean } = {}): Promise<TokenServer> {
  const { server } = await makeCertificates();
  const ledger = openLedger();
  const rules = openRules();
  const handle = tokenEndpoint({ username: USERNAME, password: PASSWORD, ...options }, (grants, user) =>
    signedToken(server, grants, user),
  );
  const listener = await listen({
    tls: tls ? server : undefined,
    ledger,
    rules,
    befores: new Set(),
    kind: "token",
    port: 0,
    handle,
  });
  return {
    host: listener.host,
    url: listener.url,
    ledger,
    on: (match, ...faults) => rules.on(match, ...faults),
    gate: (match, gateOptions) => rules.gate(match, gateOptions),
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

/** @see https://distribution.github.io/distribution/spec/auth/jwt/ */
function signedToken({ cert, key }: Certificate, grants: Grants, user: string | undefined): string {
  const now = Math.floor(Date.now() / 1000);
  const head = { typ: "JWT", alg: "RS256", x5c: [new X509Certificate(cert).raw.toString("base64")] };
  const access = [...grants].map(([name, actions]) => ({ type: "repository", name, actions: [...actions] }));
  const times = { nbf: now - 10, iat: now, exp: now + 300 };
  const claims = { iss: ISSUER, sub: user ?? "", aud: SERVICE, jti: randomUUID(), ...times, access };
  const signed = `${encode(head)}.${encode(claims)}`;
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(key, "base64url")}`;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

const run = promisify(execFile);

/** Runs skopeo as an independent check, and returns its output as bytes. */
export async function skopeo(
  args: readonly string[],
  { env = {} }: { readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Buffer> {
  try {
    const { stdout } = await run("skopeo", ["--insecure-policy", ...args], {
      encoding: "buffer",
      maxBuffer: 64 * 1024 * 1024,
      env: { PATH: process.env["PATH"], HOME: tmpdir(), ...env },
    });
    return stdout;
  } catch (cause) {
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr) : "";
    throw new Error(`skopeo ${args.join(" ")}: ${said}`, { cause });
  }
}
