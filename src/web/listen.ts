import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { getRequestListener } from "@hono/node-server";
import type { Hono } from "hono";

import { TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { type ConnectionLimits, limitConnections } from "./connections.ts";
import type { WebEnv } from "./env.ts";

/** Port 0: any free port. */
export type ListenAddress = { readonly host: string; readonly port: number };

export type Listener = {
  /** Without a trailing slash. */
  readonly url: string;
  /**
   * Accepts no new requests and waits for those in progress. When `signal` aborts, the remaining connections are
   * closed.
   */
  close(options?: Cancellable): Promise<void>;
};

export type ListenOptions = {
  readonly app: Hono<WebEnv>;
  readonly address: ListenAddress;
  readonly connections: ConnectionLimits;
  /** The time limit for the headers of a request. */
  readonly headersMs?: number | undefined;
};

const HEADERS_MS = 10_000;
/** The time limit for headers and body. */
const REQUEST_MS = 30_000;
/** No byte was read or written: the client does not read its answer. Event streams send a heartbeat more often. */
const SILENT_MS = 60_000;
const CHECK_MS = 1_000;
const IDLE_LOOK_MS = 20;

/** @throws {TagferryError} CONFIG_LISTEN when the address is in use, or is not an address of this machine */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { app, address, connections, headersMs = HEADERS_MS } = options;
  const { host, port } = address;
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer(
    {
      headersTimeout: headersMs,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: Math.min(CHECK_MS, headersMs),
    },
    (request, response) => void listener(request, response),
  );
  server.setTimeout(SILENT_MS);
  limitConnections(server, connections);
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new TagferryError("CONFIG_LISTEN", `cannot listen on ${host}:${port}`, {
      cause,
      where: `${host}:${port}`,
      found: (cause as NodeJS.ErrnoException).code,
    });
  }
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    close: (closing = {}) => closeServer(server, closing),
  };
}

async function closeServer(server: Server, { signal }: Cancellable): Promise<void> {
  const closed = once(server, "close");
  server.close();
  // when a stream ends, its connection becomes idle only later
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
  const cut = (): void => server.closeAllConnections();
  if (signal?.aborted) cut();
  signal?.addEventListener("abort", cut, { once: true });
  await closed;
  clearInterval(idle);
  signal?.removeEventListener("abort", cut);
}
