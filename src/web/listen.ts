import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { getRequestListener } from "@hono/node-server";
import type { Hono } from "hono";

import { TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { type ConnectionLimits, limitConnections } from "./connections.ts";
import type { WebEnv } from "./env.ts";

/** Port 0: any that is free. */
export type ListenAddress = { readonly host: string; readonly port: number };

export type Listener = {
  /** Without a slash at the end. */
  readonly url: string;
  /** Takes no new request and ends those under way; what is left when `signal` aborts is cut. */
  close(options?: Cancellable): Promise<void>;
};

export type ListenOptions = {
  readonly app: Hono<WebEnv>;
  readonly address: ListenAddress;
  readonly connections: ConnectionLimits;
  /** How long a request may take to say its headers. */
  readonly headersMs?: number | undefined;
};

const HEADERS_MS = 10_000;
/** For headers and body. */
const REQUEST_MS = 30_000;
/** Nothing is read or written: the other side does not take its answer. Events have a sign of life more often. */
const SILENT_MS = 60_000;
const CHECK_MS = 1_000;
const IDLE_LOOK_MS = 20;

/** @throws {TagferryError} CONFIG_LISTEN when the address is taken, or not one of this machine */
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
  // a stream that ends leaves a connection that is idle only then
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
  const cut = (): void => server.closeAllConnections();
  if (signal?.aborted) cut();
  signal?.addEventListener("abort", cut, { once: true });
  await closed;
  clearInterval(idle);
  signal?.removeEventListener("abort", cut);
}
