import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { getRequestListener } from "@hono/node-server";

import { isLoopback } from "../config/daemon.ts";
import type { DaemonView } from "../daemon/view/view.ts";
import { TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Log } from "../lib/log.ts";
import type { Secret } from "./access.ts";
import { webApp } from "./app.ts";
import { openMetrics } from "./metrics.ts";

export type WebOptions = {
  readonly view: DaemonView;
  /** Port 0: any that is free. */
  readonly settings: { readonly host: string; readonly port: number };
  /** Asked at each request: the file may change. Without: loopback only, and acting needs the page's own origin. */
  readonly token?: Secret | undefined;
  /** Without: webhooks are off. */
  readonly webhookSecret?: Secret | undefined;
  readonly log: Log;
  /** /livez, /readyz and /metrics and nothing else, on any address without a token: for a worker. */
  readonly only?: "health" | undefined;
  readonly heartbeatMs?: number;
};

export type Web = AsyncDisposable & {
  /** Without a slash at the end. */
  readonly url: string;
  /** Takes no new request and ends those under way; what is left when `signal` aborts is cut. */
  close(options?: Cancellable): Promise<void>;
};

const HEARTBEAT_MS = 15_000;
const CONNECTIONS_MAX = 1_000;
const IDLE_LOOK_MS = 20;

/**
 * Listens.
 *
 * @throws {TagferryError} CONFIG_LISTEN when the address is taken, not ours, or can be reached from elsewhere without a token
 */
export async function openWeb(options: WebOptions): Promise<Web> {
  const { view, settings, token, webhookSecret, log, only, heartbeatMs = HEARTBEAT_MS } = options;
  const { host, port } = settings;
  if (!token && !isLoopback(host) && only === undefined)
    throw new TagferryError("CONFIG_LISTEN", `${host} can be reached from elsewhere, and there is no token`, {
      found: `${host}:${port}`,
      allowed: "127.0.0.1:PORT, or any address with a token",
    });
  await using stack = new AsyncDisposableStack();
  const metrics = stack.use(openMetrics(view));
  const closing = new AbortController();
  const parts = { view, metrics, token, webhookSecret, log, heartbeatMs, only, closing: closing.signal };
  const listener = getRequestListener(webApp(parts).fetch, { overrideGlobalObjects: false });
  const server = createServer((request, response) => void listener(request, response));
  server.maxConnections = CONNECTIONS_MAX;
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
  const owned = stack.move();

  async function close({ signal }: Cancellable = {}): Promise<void> {
    if (closing.signal.aborted) return;
    closing.abort();
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
    await owned[Symbol.asyncDispose]();
  }

  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    close,
    [Symbol.asyncDispose]: () => close({ signal: AbortSignal.timeout(1_000) }),
  };
}
