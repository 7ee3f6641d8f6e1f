import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import type { ErrorCode } from "../errors/codes.ts";
import {
  type DaemonSettings,
  type ForwardedUserTrust,
  HOOK_SENDERS,
  type RedisSettings,
  type SecretSource,
} from "./config.ts";
import { parseDuration } from "./duration.ts";
import type { Problem } from "./file/problems.ts";
import type { FileShape } from "./file/schema.ts";
import type { Path, ProblemFacts, YamlFile } from "./file/yaml.ts";

type DaemonShape = NonNullable<FileShape["daemon"]>;

type ListenSettings = DaemonSettings["listen"];

type Reader = {
  readonly directory: string;
  readonly fail: (at: Path, code: ErrorCode, message: string, facts?: ProblemFacts) => undefined;
};

export const DEFAULT_DAEMON: DaemonSettings = {
  workers: 16,
  listen: { host: "127.0.0.1", port: 8080 },
  graceMs: 25_000,
};

/**
 * Reads `daemon`. A `listen` address other than loopback needs a token, because everyone who can reach the page could
 * use it.
 */
export function readDaemon(
  shape: DaemonShape,
  { yaml, directory }: { readonly yaml: YamlFile; readonly directory: string },
): { readonly settings: DaemonSettings; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const reader: Reader = {
    directory,
    fail(at, code, message, facts) {
      problems.push(yaml.problem(["daemon", ...at], code, message, facts));
      return undefined;
    },
  };
  const redis = shape.redis === undefined ? undefined : readRedis(shape.redis, reader);
  if (shape.redis !== undefined && shape.stateFile !== undefined)
    reader.fail(["stateFile"], "CONFIG_STATE", "records are already in Redis", {
      found: "redis and stateFile",
      allowed: "one of them",
    });
  const listen = readListen(shape, reader);
  const healthListen = readHealthListen(shape, reader);
  const token = readSecret(["tokenFile"], shape.tokenFile, reader);
  const readToken = readReadToken(shape, reader);
  const trustForwardedUser = readTrust(shape.trustForwardedUser, reader);
  const webhooks = readWebhooks(shape.webhooks, reader);
  const jobKey = readSecret(["jobKeyFile"], shape.jobKeyFile, reader);
  const graceMs = readGrace(shape.grace, reader);
  return {
    problems,
    settings: {
      workers: shape.workers === 0 ? 0 : (shape.copies ?? shape.workers ?? DEFAULT_DAEMON.workers),
      listen,
      graceMs,
      ...(redis ? { redis } : {}),
      ...(shape.stateFile === undefined ? {} : { stateFile: resolve(directory, shape.stateFile) }),
      ...(token ? { token } : {}),
      ...(healthListen ? { healthListen } : {}),
      ...(readToken ? { readToken } : {}),
      ...(trustForwardedUser ? { trustForwardedUser } : {}),
      ...(webhooks ? { webhooks } : {}),
      ...(shape.checks === undefined ? {} : { checks: shape.checks }),
      ...(jobKey?.kind === "file" ? { jobKeyFile: jobKey.path } : {}),
    },
  };
}

function readRedis(shape: NonNullable<DaemonShape["redis"]>, reader: Reader): RedisSettings | undefined {
  const { url: text, passwordFile, ca: caFile } = typeof shape === "string" ? { url: shape } : shape;
  const at = (key: string): Path => (typeof shape === "string" ? ["redis"] : ["redis", key]);
  const url = URL.parse(text);
  if (!url || !["redis:", "rediss:", "unix:"].includes(url.protocol))
    return reader.fail(at("url"), "CONFIG_REDIS", "this is not the address of a Redis", {
      found: url ? `${url.protocol}//…` : "no URL",
      allowed: "redis://HOST:PORT[/DATABASE], rediss://… with TLS, unix:/path/to/redis.sock",
    });
  if (url.password !== "")
    return reader.fail(at("url"), "CONFIG_INLINE_SECRET", "the address of Redis contains a password", {
      allowed: "redis: {url: redis://…, passwordFile: …}",
      next: "Write the password into a file and name it in daemon.redis.passwordFile.",
    });
  const password = readSecret(["redis", "passwordFile"], passwordFile, reader);
  const ca = caFile === undefined ? undefined : readText(["redis", "ca"], caFile, reader);
  return { url: url.href, ...(password ? { password } : {}), ...(ca === undefined ? {} : { ca }) };
}

const LISTEN = /^(?:\[([0-9a-f:]+)\]|([^\s:[\]]*)):(\d{1,5})$/i;

function readListen({ listen, tokenFile }: DaemonShape, reader: Reader): DaemonSettings["listen"] {
  if (listen === undefined) return DEFAULT_DAEMON.listen;
  const text = listen;
  const place = parseListen(text);
  if (!place)
    reader.fail(["listen"], "CONFIG_LISTEN", `"${text}" is not an address to listen on`, {
      found: text,
      allowed: "HOST:PORT, such as 127.0.0.1:8080 or 0.0.0.0:8080",
    });
  else if (!isLoopback(place.host) && tokenFile === undefined)
    reader.fail(
      ["listen"],
      "CONFIG_LISTEN",
      `${text} can be reached from other machines, and there is no token`,
      {
        found: text,
        allowed: "127.0.0.1:PORT, or any address with tokenFile",
        next: "Write a random token into a file and name it in daemon.tokenFile.",
      },
    );
  return place ?? DEFAULT_DAEMON.listen;
}

/** This port only serves two probes, so any address is allowed except that of `listen`. */
function readHealthListen(
  { healthListen: text, listen }: DaemonShape,
  reader: Reader,
): ListenSettings | undefined {
  if (text === undefined) return undefined;
  const place = parseListen(text);
  const { port } = (listen === undefined ? undefined : parseListen(listen)) ?? DEFAULT_DAEMON.listen;
  if (!place)
    return reader.fail(["healthListen"], "CONFIG_LISTEN", `"${text}" is not an address to listen on`, {
      found: text,
      allowed: "HOST:PORT, such as 0.0.0.0:8081",
    });
  if (place.port === port && port !== 0)
    return reader.fail(["healthListen"], "CONFIG_LISTEN", `port ${port} is also the port of listen`, {
      found: text,
      allowed: "another port",
    });
  return place;
}

/** A read token needs `tokenFile` and must differ from that token. Otherwise it would allow actions. */
function readReadToken({ readTokenFile, tokenFile }: DaemonShape, reader: Reader): SecretSource | undefined {
  const at = ["readTokenFile"];
  if (readTokenFile !== undefined && tokenFile === undefined)
    return reader.fail(at, "CONFIG_SECRET", "readTokenFile is set, but not tokenFile", {
      found: "readTokenFile without tokenFile",
      allowed: "both",
    });
  const secret = readSecret(at, readTokenFile, reader);
  if (secret && readTokenFile !== undefined && tokenFile !== undefined) {
    const [read, act] = [readTokenFile, tokenFile].map((path) => readText(at, path, reader)?.trim());
    if (read !== undefined && read === act)
      return reader.fail(at, "CONFIG_SECRET", "both files contain the same token", {
        found: readTokenFile,
        allowed: "a file with another token",
      });
  }
  return secret;
}

function readTrust(shape: DaemonShape["trustForwardedUser"], reader: Reader): ForwardedUserTrust | undefined {
  if (shape === undefined || shape === false) return undefined;
  if (shape === true) return { kind: "loopback" };
  const secret = readSecret(["trustForwardedUser", "secretFile"], shape.secretFile, reader);
  return secret && { kind: "secret", secret };
}

/** The secret of each sender: its own, otherwise the common one. */
function readWebhooks(shape: DaemonShape["webhooks"], reader: Reader): DaemonSettings["webhooks"] {
  if (shape === undefined) return undefined;
  const { secretFile, secretFiles = {} } = shape;
  const common = readSecret(["webhooks", "secretFile"], secretFile, reader);
  const secrets = HOOK_SENDERS.flatMap((sender) => {
    const own = readSecret(["webhooks", "secretFiles", sender], secretFiles[sender], reader);
    const secret = own ?? common;
    return secret ? [[sender, secret] as const] : [];
  });
  return Object.fromEntries(secrets);
}

/** Parses `HOST:PORT`. An empty host means all addresses. undefined when the text is not valid. */
export function parseListen(text: string): DaemonSettings["listen"] | undefined {
  const [, six, other, port] = LISTEN.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) return undefined;
  return { host: six ?? (other === "" || other === undefined ? "0.0.0.0" : other), port: Number(port) };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function readGrace(text: string | undefined, reader: Reader): number {
  if (text === undefined) return DEFAULT_DAEMON.graceMs;
  const durationMs = parseDuration(text);
  if (durationMs === undefined)
    reader.fail(["grace"], "CONFIG_DURATION", `"${text}" is not a duration`, {
      found: text,
      allowed: "a whole number and a unit: 25s, 2m",
    });
  return durationMs ?? DEFAULT_DAEMON.graceMs;
}

/** The file must exist and must not be empty. It is read again when it is used. */
function readSecret(at: Path, path: string | undefined, reader: Reader): SecretSource | undefined {
  if (path === undefined) return undefined;
  const text = readText(at, path, reader);
  if (text !== undefined && text.trim() === "")
    reader.fail(at, "CONFIG_SECRET", `the file ${path} is empty`, { found: path });
  return { kind: "file", path: resolve(reader.directory, path) };
}

function readText(at: Path, path: string, { directory, fail }: Reader): string | undefined {
  try {
    return readFileSync(resolve(directory, path), "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EISDIR")
      return fail(at, "CONFIG_SECRET", `${path} is a directory`, {
        found: path,
        next: "Name a file in it.",
      });
    const why = code === "ENOENT" ? "does not exist" : `cannot be read (${code})`;
    return fail(at, "CONFIG_SECRET", `the file ${path} ${why}`, { found: path });
  }
}
