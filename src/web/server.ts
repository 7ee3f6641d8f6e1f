import { isLoopback } from "../config/daemon.ts";
import type { DaemonView } from "../daemon/view/view.ts";
import { TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Log } from "../lib/log.ts";
import type { TrustedProxy } from "./access/caller.ts";
import { openGuesses } from "./access/guesses.ts";
import type { Secret } from "./access/secret.ts";
import { openSessions } from "./access/sessions.ts";
import { webApp } from "./app.ts";
import { healthApp } from "./health.ts";
import { listen, type ListenAddress, type Listener } from "./listen.ts";
import { openMetrics } from "./metrics.ts";
import type { HookSecrets } from "./webhooks/webhooks.ts";

export type WebOptions = {
  readonly view: DaemonView;
  readonly settings: ListenAddress;
  /** A separate address for /livez and /readyz. */
  readonly healthSettings?: ListenAddress | undefined;
  /**
   * Read at each request, because the file may change. Without a token: loopback only, and actions must come from our
   * own page.
   */
  readonly token?: Secret | undefined;
  /** Allows reading only. Needs `token`. */
  readonly readToken?: Secret | undefined;
  /** Whose X-Forwarded-User is trusted. Default: nobody's. */
  readonly proxy?: TrustedProxy | undefined;
  /** Default: webhooks are disabled. */
  readonly webhooks?: HookSecrets | undefined;
  readonly log: Log;
  /** Only /livez, /readyz and /metrics, on any address without a token: for a worker. */
  readonly only?: "health" | undefined;
  readonly heartbeatMs?: number;
  readonly headersMs?: number;
};

export type Web = AsyncDisposable & {
  /** Without a trailing slash. */
  readonly url: string;
  /** The URL of the port for probes, when it is separate. */
  readonly healthUrl?: string;
  /**
   * Accepts no new requests and waits for those in progress. When `signal` aborts, the remaining connections are
   * closed.
   */
  close(options?: Cancellable): Promise<void>;
};

const HEARTBEAT_MS = 15_000;
/** All clients behind one router count as one peer. */
const CONNECTIONS = { total: 1_000, perPeer: 400 };
const HEALTH_CONNECTIONS = { total: 64, perPeer: 32 };

/**
 * Starts the server.
 *
 * @throws {TagferryError} CONFIG_LISTEN when the address is in use, is not ours, or is reachable from other machines
 *   and no token is set
 */
export async function openWeb(options: WebOptions): Promise<Web> {
  const { view, settings, healthSettings, token, only, headersMs } = options;
  const { host, port } = settings;
  if (!token && !isLoopback(host) && only === undefined)
    throw new TagferryError(
      "CONFIG_LISTEN",
      `${host} can be reached from other machines, and there is no token`,
      {
        found: `${host}:${port}`,
        allowed: "127.0.0.1:PORT, or any address with a token",
      },
    );
  await using stack = new AsyncDisposableStack();
  const closing = new AbortController();
  const app = webApp({
    view,
    metrics: stack.use(openMetrics(view)),
    access: {
      token,
      readToken: options.readToken,
      proxy: options.proxy,
      sessions: openSessions(view.sessions),
      guesses: openGuesses(),
    },
    webhooks: options.webhooks,
    log: options.log,
    heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
    only,
    closing: closing.signal,
  });
  const opened: Listener[] = [];
  stack.defer(async () => void (await Promise.all(opened.map((one) => one.close(ended())))));
  const main = await listen({ app, address: settings, connections: CONNECTIONS, headersMs });
  opened.push(main);
  const health =
    healthSettings &&
    (await listen({
      app: healthApp(view),
      address: healthSettings,
      connections: HEALTH_CONNECTIONS,
      headersMs,
    }));
  if (health) opened.push(health);
  const owned = stack.move();

  async function close(how: Cancellable = {}): Promise<void> {
    if (closing.signal.aborted) return;
    closing.abort();
    await Promise.all(opened.splice(0).map((one) => one.close(how)));
    await owned[Symbol.asyncDispose]();
  }

  return {
    url: main.url,
    ...(health ? { healthUrl: health.url } : {}),
    close,
    [Symbol.asyncDispose]: () => close({ signal: AbortSignal.timeout(1_000) }),
  };
}

const ended = (): Cancellable => ({ signal: AbortSignal.abort() });
