import type { ConnectionOptions } from "node:tls";

import type { Cancellable } from "../../lib/cancel.ts";
import { type Connection, openConnection } from "./connection.ts";
import { type DirectAnswer, type DirectRequest, exchange } from "./exchange.ts";

/**
 * Reads large bodies with large reads, through sockets and buffers of our own. With the ordinary client every 64 KiB (over
 * TLS every 16 KiB) is a new buffer and a turn of the loop, which costs twice the CPU.
 */
export type Direct = Disposable & {
  /**
   * Sends a GET. Undefined when the answer is not plain (chunked, interim, without a length): the ordinary client asks
   * again, and for a while is the only one to ask this origin. Errors of the connection are thrown as Node made them.
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

/** Shorter than servers keep idle connections. */
const KEPT_MS = 4_000;
const KEPT_MAX = 8;
/** How long an origin whose answers are not plain is left to the ordinary client. */
const DECLINED_MS = 10 * 60_000;
/** Redirects name any number of hosts; of these the last ones are remembered. */
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
          // it was closed while it rested: once more, on a new one
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

/** What the ordinary client would refuse to send is left to it. */
function isSendable({ headers }: DirectRequest): boolean {
  return Object.values(headers).every((value) => /^[\t\x20-\x7e]*$/.test(value));
}

type Pool = {
  keep(origin: string, connection: Connection): void;
  take(origin: string): Connection | undefined;
  destroy(): void;
};

/** Connections between two requests, for a few seconds. */
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
