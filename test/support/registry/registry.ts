import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";

import { type Ledger, openLedger, type OpenLedger, type RequestKind } from "../ledger.ts";
import { type AuthOptions, openAuthorizer } from "./auth.ts";
import type { Behaviour } from "./behaviour.ts";
import { handleCdn } from "./blobs.ts";
import { openHandler, registryContents, type RegistryContents, type RegistryHooks } from "./handler.ts";
import { type Fault, type GateOptions, type Held, openRules, type RuleMatch, type Rules } from "./rules.ts";
import { createRegistryStore, type RegistryStore } from "./store.ts";
import { type Answer, drain, readRequest, type RegistryRequest, sendAnswer } from "./wire.ts";

export type TlsOptions = {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Clients must show a certificate signed by this. */
  readonly ca?: string;
};

export type RegistryOptions = {
  readonly tls?: TlsOptions;
  readonly auth?: AuthOptions;
  readonly behaviour?: Partial<Behaviour>;
  readonly port?: number;
  /** Shared between two servers, or kept over a restart. */
  readonly store?: RegistryStore;
  /** For registries of another kind, such as OpenShift's. */
  readonly hooks?: Partial<RegistryHooks>;
  /** Paths besides /v2/ (APIs of vendors, token endpoints of one's own); undefined: 404. */
  readonly other?: (request: RegistryRequest) => Answer | undefined | Promise<Answer | undefined>;
  /** One for several servers. */
  readonly ledger?: OpenLedger;
};

export type Connections = {
  /** Since the start. */
  readonly opened: number;
  readonly open: number;
  readonly peak: number;
};

export type TestRegistry = AsyncDisposable &
  RegistryContents & {
    /** 127.0.0.1:PORT, or localhost:PORT with TLS. */
    readonly host: string;
    readonly url: string;
    readonly ledger: Ledger;
    readonly store: RegistryStore;
    readonly connections: Connections;
    /** The first matching request gets the first fault, and so on. Returns a function that removes the rest. */
    on(match: RuleMatch, ...faults: Fault[]): () => void;
    /** Runs before every request, faults included; the request waits for it. */
    before(hook: (request: RegistryRequest) => void | Promise<void>): () => void;
    /** Resolves when the nth request from now (or the one that matches) has arrived, and holds it until released. */
    gate(match: RuleMatch | number, options?: GateOptions): Promise<Held>;
    /** Every bearer token given out so far becomes void. */
    revokeTokens(): void;
  };

/** A registry in memory, in this process, on a real socket. Tests can make it misbehave. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const { tls, store = createRegistryStore(), behaviour, auth, hooks, port = 0 } = options;
  const ledger = options.ledger ?? openLedger();
  const rules = openRules();
  const befores = new Set<(request: RegistryRequest) => void | Promise<void>>();
  const shared = { tls, ledger, rules, befores };
  // everything that was opened is closed in reverse order, even if a later step fails
  await using stack = new AsyncDisposableStack();
  let registry: Listener | undefined;
  let tokens: Listener | undefined;
  const authorizer = auth && openAuthorizer(auth, () => `${(tokens ?? registry)?.url ?? ""}/token`);
  const cdn = behaviour?.redirectBlobs
    ? stack.use(
        await listen({ ...shared, kind: "cdn", port: 0, handle: (request) => handleCdn(context, request) }),
      )
    : undefined;
  if (authorizer?.token && auth?.kind === "bearer" && auth.origin !== "same")
    tokens = stack.use(await listen({ ...shared, kind: "token", port: 0, handle: authorizer.token }));
  const { context, handle } = openHandler({
    store,
    behaviour,
    hooks: { ...(authorizer ? { authorize: (request) => authorizer.authorize(request) } : {}), ...hooks },
    url: () => registry?.url ?? "",
    cdnUrl: cdn?.url,
  });
  const { connections, host, url } = (registry = stack.use(
    await listen({
      ...shared,
      port,
      handle: async (request) => {
        if (request.kind === "token" && authorizer?.token) return authorizer.token(request);
        const answer = request.kind === "other" ? await options.other?.(request) : undefined;
        return answer ?? handle(request);
      },
    }),
  ));
  const owned = stack.move();
  return {
    ...registryContents(store),
    host,
    url,
    ledger,
    store,
    connections,
    on: (match, ...faults) => rules.on(match, ...faults),
    gate: (match, gateOptions) => rules.gate(match, gateOptions),
    before: (hook) => {
      befores.add(hook);
      return () => befores.delete(hook);
    },
    revokeTokens: () => authorizer?.revokeTokens(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type Listener = AsyncDisposable & {
  readonly host: string;
  readonly url: string;
  readonly connections: Connections;
};

type Serving = {
  readonly tls: TlsOptions | undefined;
  readonly ledger: OpenLedger;
  readonly rules: Rules;
  readonly befores: ReadonlySet<(request: RegistryRequest) => void | Promise<void>>;
  readonly handle: (request: RegistryRequest) => Promise<Answer>;
  readonly kind?: RequestKind;
};

/** One server on one port. */
export async function listen(serving: Serving & { readonly port: number }): Promise<Listener> {
  const { tls, port } = serving;
  let host = "";
  const below = new Map<number, Socket>();
  const plainSocket = (socket: Socket): Socket | undefined => below.get(socket.remotePort ?? 0);
  const answer = (message: IncomingMessage, response: ServerResponse): void => {
    void serve(serving, readRequest(message, response, { ...serving, host, plainSocket }));
  };
  const server = tls
    ? createTlsServer({ ...tls, requestCert: tls.ca !== undefined }, answer)
    : createServer(answer);
  // Clients decide how long a connection stays open. The server never closes one at a bad moment.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  const connections = countConnections(server, below);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  host = `${tls ? "localhost" : "127.0.0.1"}:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: `${tls ? "https" : "http"}://${host}`,
    connections,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Keeps every open TCP connection by its client's port. */
function countConnections(server: Server, open: Map<number, Socket>): Connections {
  const connections = { opened: 0, open: 0, peak: 0 };
  server.on("connection", (socket: Socket) => {
    const port = socket.remotePort ?? 0;
    open.set(port, socket);
    connections.opened += 1;
    connections.open += 1;
    connections.peak = Math.max(connections.peak, connections.open);
    socket.once("close", () => {
      open.delete(port);
      connections.open -= 1;
    });
  });
  return connections;
}

async function serve({ ledger, rules, befores, handle }: Serving, request: RegistryRequest): Promise<void> {
  const { entry, response, gone } = request;
  gone.addEventListener("abort", () => {
    entry.broken = !response.writableFinished;
    ledger.complete(entry);
  });
  try {
    const fault = rules.next(request);
    for (const hook of befores) await hook(request);
    const answer = await (fault ? fault(request, () => handle(request)) : handle(request));
    await sendAnswer(request, answer);
    if (response.writableEnded) ledger.complete(entry);
    await drain(request);
  } catch (cause) {
    // many tests are about clients that disconnect
    if (gone.aborted || response.socket?.destroyed !== false) return;
    console.error(`${request.method} ${request.path}`, cause);
    if (!response.headersSent) response.writeHead(500);
    response.end();
  }
}
