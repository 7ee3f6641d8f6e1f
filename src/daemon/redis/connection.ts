import { readFileSync } from "node:fs";

import { Redis, type RedisOptions } from "ioredis";

import type { RedisSettings } from "../../config/config.ts";
import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { trustSystem } from "../../lib/system-trust.ts";

/** The prefix of all our keys. The braces keep them on one node of a Redis cluster. */
export const REDIS_PREFIX = "{tagferry}";

export type RedisState =
  | { readonly kind: "up" }
  | { readonly kind: "away"; readonly since: string; readonly reason: string }
  /** It answers, but must not be used: it evicts keys, or its version is too old. */
  | { readonly kind: "unfit"; readonly reason: string };

/** The connections to one Redis, and its state. */
export type RedisLink = AsyncDisposable & {
  /** For short commands. They fail at once while Redis is away. */
  readonly client: Redis;
  /** Another connection, for commands that block. It waits for Redis without limit. */
  open(name: string): Redis;
  state(): RedisState;
  /** Checks the state now. */
  look(): Promise<RedisState>;
  /** Waits for the first connection, at most this long. */
  settle(timeoutMs: number): Promise<RedisState>;
};

const LOOK_MS = 2_000;
const OLDEST = [6, 2] as const;

export function openRedis(settings: RedisSettings, log: Log): RedisLink {
  const opened = new Set<Redis>();
  let state: RedisState = { kind: "away", since: new Date().toISOString(), reason: "not connected yet" };

  function connect(name: string, options: RedisOptions): Redis {
    const settled: RedisOptions = {
      ...addressOf(settings),
      ...passwordOf(settings),
      connectionName: `tagferry-${name}`,
      retryStrategy: (times) => Math.min(times * 100, 2_000),
      // a master that became a replica refuses writes: the new master has another address
      reconnectOnError: (error) => (/READONLY/.test(error.message) ? 2 : false),
      ...options,
    };
    const client = new Redis({ ...settled, replyMapping: "legacy" });
    opened.add(client);
    // the next connection uses a password that was changed on disk
    client.on("close", () => Object.assign(client.options, passwordOf(settings)));
    client.on("error", (error: Error) => log.debug({ err: error, connection: name }, "redis"));
    client.on("end", () => opened.delete(client));
    return client;
  }

  const client = connect("main", {
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: 5_000,
  });

  async function look(): Promise<RedisState> {
    let next: RedisState;
    try {
      const info = await client.info();
      const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
      const version = /^redis_version:(\d+)\.(\d+)/m.exec(info)?.slice(1).map(Number);
      // a write shows what a ping does not: a replica, a full memory, a full disk
      await client.set(`${REDIS_PREFIX}:alive`, new Date().toISOString(), "PX", 60_000);
      next = judge(policy, version);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const since = state.kind === "away" ? state.since : new Date().toISOString();
      next = { kind: "away", since, reason };
    }
    if (next.kind !== state.kind)
      log[next.kind === "up" ? "info" : "error"]({ redis: next }, `redis is ${next.kind}`);
    state = next;
    return state;
  }

  const looking = setInterval(() => void look(), LOOK_MS).unref();
  client.on("ready", () => void look());

  return {
    client,
    open: (name) => connect(name, { maxRetriesPerRequest: null }),
    state: () => state,
    look,
    async settle(timeoutMs) {
      const { promise: given, resolve: giveUp } = Promise.withResolvers<void>();
      client.once("ready", giveUp);
      const patience = setTimeout(giveUp, timeoutMs);
      if (client.status !== "ready") await given;
      clearTimeout(patience);
      return look();
    },
    async [Symbol.asyncDispose]() {
      clearInterval(looking);
      for (const one of opened) one.disconnect();
    },
  };
}

/** BullMQ only warns about these. */
function judge(policy: string | undefined, version: readonly number[] | undefined): RedisState {
  const [major = OLDEST[0], minor = 0] = version ?? OLDEST;
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    return {
      kind: "unfit",
      reason: `it is version ${major}.${minor}, it must be ${OLDEST.join(".")} or later`,
    };
  if (policy !== undefined && policy !== "noeviction")
    return { kind: "unfit", reason: `maxmemory-policy is ${policy}, it must be noeviction` };
  return { kind: "up" };
}

function addressOf({ url: text, ca }: RedisSettings): RedisOptions {
  const url = new URL(text);
  if (url.protocol === "unix:") return { path: url.pathname };
  if (url.protocol === "rediss:" && ca === undefined) trustSystem();
  const database = Number(url.pathname.slice(1));
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 6379 : Number(url.port),
    ...(url.username === "" ? {} : { username: decodeURIComponent(url.username) }),
    ...(Number.isSafeInteger(database) && database > 0 ? { db: database } : {}),
    ...(url.protocol === "rediss:" ? { tls: ca === undefined ? {} : { ca } } : {}),
  };
}

function passwordOf({ password }: RedisSettings): RedisOptions {
  if (password?.kind !== "file") return {};
  return { password: readFileSync(password.path, "utf8").replace(/(?<![\r\n])[\r\n]+$/, "") };
}

/** Turns the errors of Redis commands into QUEUE_AWAY. */
export async function withRedis<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    if (cause instanceof TagferryError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new TagferryError("QUEUE_AWAY", `Redis refused a command: ${message}`, { cause });
  }
}
