import { once, setMaxListeners } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { buffer } from "node:stream/consumers";

import { makeCertificates } from "../../support/certificates.ts";
import type { Injector } from "../inject/injector.ts";
import type { Ledger, Side } from "../ledger.ts";
import type { Random } from "../random.ts";
import { type Access, access } from "./access.ts";
import { readBlob } from "./blobs.ts";
import { type Answer, type Exchange, failure, type Route, routeOf } from "./exchange.ts";
import { listReferrers, listTags } from "./listing.ts";
import { putManifest, readManifest } from "./manifests.ts";
import { type Repository, repository, type TagChange } from "./repository.ts";
import type { RegistryRules } from "./rules.ts";
import { type Uploads, uploads, type WrongUpload } from "./uploads.ts";

export type Registry = AsyncDisposable & {
  /** `127.0.0.1:PORT`, or `localhost:PORT` with TLS. */
  readonly host: string;
  readonly side: Side;
  readonly rules: RegistryRules;
  readonly repositories: ReadonlyMap<string, Repository>;
  /** Creates the repository if it does not exist. */
  repository(name: string): Repository;
  /** Ended uploads whose bytes were not what the client said. */
  readonly wrongUploads: readonly WrongUpload[];
};

export type RegistryOptions = {
  readonly side: Side;
  readonly rules: RegistryRules;
  readonly injector: Injector;
  readonly random: Random;
  readonly ledger: Ledger;
  /** Called before each request is answered, with how many there were at both sides. */
  readonly onRequest: () => void;
  /** Called after each move of a tag. */
  readonly onMove: (repositoryName: string, change: TagChange) => void;
};

type State = RegistryOptions & {
  readonly repositories: Map<string, Repository>;
  readonly make: (name: string) => Repository;
  readonly access: Access;
  readonly uploads: Uploads;
  /** Open TCP connections by the client's port: only they can be reset, not TLS. */
  readonly connections: Map<number, Socket>;
};

/** A registry by the distribution specification, on real sockets. It fails when its injector says so. */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { side, rules, ledger } = options;
  const repositories = new Map<string, Repository>();
  const make = (name: string): Repository => {
    const known = repositories.get(name) ?? repository(ledger.now, (change) => options.onMove(name, change));
    repositories.set(name, known);
    return known;
  };
  const state: State = {
    ...options,
    repositories,
    make,
    access: access(rules),
    uploads: uploads(rules),
    connections: new Map<number, Socket>(),
  };
  const server = await openServer(state);
  server.on("clientError", (_error, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `${rules.tls ? "localhost" : "127.0.0.1"}:${portOf(server)}`,
    side,
    rules,
    repositories,
    repository: make,
    wrongUploads: state.uploads.wrong,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await Promise.resolve();
    },
  };
}

async function openServer(state: State): Promise<Server> {
  const options = { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 20_000 };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    void serve(state, request, response);
  };
  if (!state.rules.tls) return withConnections(createServer(options, answer), state);
  const { server } = await makeCertificates();
  const { cert, key } = server;
  return withConnections(createTlsServer({ ...options, cert, key }, answer), state);
}

function withConnections(server: Server, { connections }: State): Server {
  return server.on("connection", (socket) => {
    const port = socket.remotePort ?? 0;
    connections.set(port, socket);
    socket.once("close", () => connections.delete(port));
  });
}

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server listens on no port");
  return address.port;
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const exchange = exchangeOf(state, request, response);
  const { ledger, side, injector, random } = state;
  const entry = ledger.note(side, `${exchange.method} ${request.url ?? ""}`);
  state.onRequest();
  const fault = injector.choose(exchange);
  if (fault) entry.fault = fault.name;
  try {
    if (fault) await fault.run(exchange, random);
    else await exchange.send(await exchange.handle());
  } catch {
    // the client disconnected; the ledger has what it did to the registry
    request.socket.destroy();
  }
  if (response.headersSent) entry.status = response.statusCode;
  entry.took = ledger.now() - entry.at;
}

function exchangeOf(state: State, request: IncomingMessage, response: ServerResponse): Exchange {
  const method = request.method ?? "GET";
  const url = new URL(request.url ?? "/", `http://${request.headers.host ?? "registry"}`);
  let read: Promise<Buffer> | undefined;
  const exchange: Exchange = {
    request,
    response,
    socket: request.socket,
    reset: () => void state.connections.get(request.socket.remotePort ?? 0)?.resetAndDestroy(),
    method,
    url,
    route: routeOf(method, url.pathname),
    rules: state.rules,
    signal: goneSignal(request.socket),
    body: () => {
      read ??= buffer(request);
      return read;
    },
    handle: () => answerTo(state, exchange),
    send: (answer) => send(exchange, answer),
    expireTokens: () => state.access.expire(),
  };
  return exchange;
}

const GONE = new WeakMap<Socket, AbortSignal>();

/** Aborted when the client's connection is closed. */
function goneSignal(socket: Socket): AbortSignal {
  const known = GONE.get(socket);
  if (known) return known;
  const gone = new AbortController();
  // up to a hundred requests use one connection, and each fault may add a listener
  setMaxListeners(0, gone.signal);
  socket.once("close", () => gone.abort());
  GONE.set(socket, gone.signal);
  return gone.signal;
}

async function send({ response, method }: Exchange, { status, headers, body }: Answer): Promise<void> {
  const bare = status === 204 || "content-length" in headers || "transfer-encoding" in headers;
  response.writeHead(status, bare ? headers : { ...headers, "content-length": String(body?.length ?? 0) });
  await new Promise<void>((sent) => {
    response.once("close", () => sent());
    response.end(method === "HEAD" ? undefined : body, () => sent());
  });
}

async function answerTo(state: State, exchange: Exchange): Promise<Answer> {
  const { route, url } = exchange;
  if (route.kind === "token") return state.access.token(exchange);
  const endless = /^\/(ring|endless)\/(\d+)$/.exec(url.pathname);
  if (endless) return forEver(endless[1] ?? "", Number(endless[2]));
  const refused = state.access.refusal(exchange);
  if (refused) {
    await exchange.body();
    return refused;
  }
  return "repo" in route ? inRepository(state, exchange, route) : pong(route);
}

function pong({ kind }: Route): Answer {
  return kind === "ping"
    ? { status: 200, headers: { "content-type": "application/json" }, body: Buffer.from("{}") }
    : { status: 404, headers: { "content-type": "text/plain" }, body: Buffer.from("404 page not found\n") };
}

/** A redirect loop, or an endless tag listing. */
function forEver(kind: string, at: number): Answer {
  if (kind === "ring")
    return { status: 307, headers: { location: `/ring/${at + 1}`, "content-length": "0" } };
  const headers = { "content-type": "application/json", link: `</endless/${at + 1}>; rel="next"` };
  return { status: at > 4_000 ? 500 : 200, headers, body: Buffer.from(`{"name":"x","tags":[]}`) };
}

async function inRepository(
  state: State,
  exchange: Exchange,
  route: Exclude<Route, { readonly kind: "ping" | "token" | "unknown" }>,
): Promise<Answer> {
  const { rules, repositories, make } = state;
  const { request, url } = exchange;
  const repo = repositories.get(route.repo);
  switch (route.kind) {
    case "tags":
      return listTags(repo, route.repo, url, rules);
    case "referrers":
      return listReferrers(repo, route.repo, route.ref, url, rules);
    case "manifest-get":
    case "manifest-head":
      return readManifest(repo, route.ref, request.headers.accept ?? "", rules);
    case "manifest-put": {
      const bytes = await exchange.body();
      const contentType = request.headers["content-type"] ?? "";
      return putManifest({ repo: make(route.repo), ref: route.ref, contentType, bytes }, rules);
    }
    case "blob-get":
    case "blob-head":
      return readBlob(repo, route.ref, request.headers.range);
    case "upload-post": {
      const from = repositories.get(url.searchParams.get("from") ?? "");
      return state.uploads.post(exchange, make(route.repo), from, route.repo);
    }
    case "upload-patch":
      return state.uploads.patch(exchange, route.repo);
    case "upload-put":
      return state.uploads.put(exchange, make(route.repo), route.repo);
    case "upload-get":
      return state.uploads.status(route.ref, route.repo);
    case "upload-delete":
      return state.uploads.cancel(route.ref);
    case "manifest-delete":
    case "blob-delete":
      make(route.repo).deletions.push(`${route.kind} ${route.ref}`);
      return failure(405, "UNSUPPORTED");
  }
}
