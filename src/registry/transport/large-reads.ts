import type { ConnectionOptions } from "node:tls";

import type { Cancellable } from "../../lib/cancel.ts";
import { type Connection, openConnection } from "./connection.ts";
import { type DirectAnswer, type DirectRequest, exchange } from "./exchange.ts";

/**
 * Reads large bodies through our own sockets and buffers. The ordinary client allocates a buffer for every 64 KiB (with
 * TLS for every 16 KiB) and needs a turn of the event loop for each, which costs more than twice the CPU
 * (docs/measurements.md).
 */
export type Direct = Disposable & {
  /**
   * Sends a GET. undefined when the answer is not plain (chunked, interim, without a length). Then the ordinary client
   * sends the request again, and for some minutes all requests to this origin. Throws the errors of Node unchanged.
   */
  get(request: DirectRequest, options?: Cancellable): Promise<DirectAnswer | undefined>;
};

export type DirectOptions = {
  /** Certificates and name lookup. */
  readonly tls: () => ConnectionOptions;
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
};

/** How long an idle connection is kept. Servers keep it longer. */
const KEPT_MS = 4_000;
const KEPT_MAX = 8;
/** How long the ordinary client is used for an origin whose answers are not plain. */
const DECLINED_MS = 10 * 60_000;
/** How many origins are remembered. Redirects may name any number of hosts. */
const ORIGINS_MAX = 256;

export function openDirect(options: DirectOptions): Direct {
  const pool = openPool();
  const sessions = new Map<string, Buffer>();
  const declinedUntilMs = new Map<string, number>();

  async function attempt(
    connection: Connection,
    request: DirectRequest,
    cancellable: Cancellable,
  ): Promise<DirectAnswer | undefined> {
    const { origin } = request.url;
    let answer: DirectAnswer | undefined;
    try {
      answer = await exchange(connection, request, {
        ...cancellable,
        firstByteTimeoutMs: options.firstByteTimeoutMs,
        onFree: (free) => pool.keep(origin, free),
      });
      if (!answer) remember(declinedUntilMs, origin, performance.now() + DECLINED_MS);
      return answer;
    } finally {
      if (!answer) connection.destroy();
    }
  }

  return {
    async get(request, { signal } = {}) {
      signal?.throwIfAborted();
      const { url } = request;
      if (!isSendable(request) || performance.now() < (declinedUntilMs.get(url.origin) ?? 0))
        return undefined;
      const rested = pool.take(url.origin);
      if (rested)
        try {
          return await attempt(rested, request, { signal });
        } catch (error) {
          signal?.throwIfAborted();
          if (isTimeout(error)) throw error;
          // the server closed it while it was idle: send the request again on a new connection
        }
      const session = sessions.get(url.origin);
      const settings = {
        ...options,
        tls: { ...options.tls(), ...(session ? { session } : {}) },
        onSession: (one: Buffer) => remember(sessions, url.origin, one),
      };
      return attempt(await openConnection(url, settings, { signal }), request, { signal });
    },
    [Symbol.dispose]: () => pool.destroy(),
  };
}

function remember<T>(map: Map<string, T>, origin: string, value: T): void {
  map.delete(origin);
  map.set(origin, value);
  const [oldest] = map.keys();
  if (map.size > ORIGINS_MAX && oldest !== undefined) map.delete(oldest);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

/** The ordinary client refuses to send other characters, with an error of its own. */
function isSendable({ headers }: DirectRequest): boolean {
  return Object.values(headers).every((value) => /^[\t\x20-\x7e]*$/.test(value));
}

type Pool = {
  keep(origin: string, connection: Connection): void;
  take(origin: string): Connection | undefined;
  destroy(): void;
};

/** Idle connections. Each is kept for a few seconds. */
function openPool(): Pool {
  const kept = new Map<string, Set<Connection>>();

  function remove(origin: string, connection: Connection): boolean {
    const line = kept.get(origin);
    const was = line?.delete(connection) ?? false;
    if (line?.size === 0) kept.delete(origin);
    return was;
  }

  return {
    keep(origin, connection) {
      const line = kept.get(origin) ?? new Set();
      if (line.size >= KEPT_MAX || !connection.isFit) return connection.destroy();
      kept.set(origin, line.add(connection));
      setTimeout(() => {
        if (remove(origin, connection)) connection.destroy();
      }, KEPT_MS).unref();
    },
    take(origin) {
      for (const one of [...(kept.get(origin) ?? [])].toReversed()) {
        remove(origin, one);
        if (one.isFit) return one;
        one.destroy();
      }
      return undefined;
    },
    destroy() {
      for (const line of kept.values()) for (const connection of line) connection.destroy();
      kept.clear();
    },
  };
}
