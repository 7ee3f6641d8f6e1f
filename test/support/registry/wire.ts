import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import type { LedgerEntry, OpenLedger, RequestKind } from "../ledger.ts";

/** A request as the handlers see it. */
export type RegistryRequest = {
  readonly entry: LedgerEntry;
  readonly method: string;
  readonly path: string;
  /** As it was sent, without `?`. */
  readonly query: string;
  readonly parameters: URLSearchParams;
  /** A fault may change them before the registry looks. */
  readonly headers: IncomingHttpHeaders;
  readonly kind: RequestKind;
  readonly repository: string;
  /** Tag or digest; for an upload its session; else empty. */
  readonly reference: string;
  /** The body, counted in the ledger; leaving the loop early leaves the rest to be read. */
  readonly body: AsyncIterable<Uint8Array>;
  readonly response: ServerResponse;
  /** Breaks the connection: RST, or (`close`) FIN. */
  readonly break: (by?: "reset" | "close") => void;
  /** Aborted when the connection is gone, or the server closes. */
  readonly gone: AbortSignal;
};

/** The answer. Nothing is sent before it is complete, so that a fault can change it. */
export type Answer = {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  /** Never sent to a HEAD, but its length is. */
  readonly body?: Uint8Array;
  /** Writes the answer in a way that HTTP does not allow. Resolves when it was sent. */
  readonly send?: (request: RegistryRequest) => Promise<void>;
};

export type Awaitable<T> = T | Promise<T>;

/** The body of a refusal, as the distribution spec writes it. */
export function refusal(
  status: number,
  code: string,
  message: string = code.toLowerCase().replaceAll("_", " "),
  detail?: unknown,
): Answer {
  return json(status, { errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] });
}

export function json(status: number, value: unknown, headers: OutgoingHttpHeaders = {}): Answer {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  return { status, headers: { "content-type": "application/json; charset=utf-8", ...headers }, body };
}

export function notFound(): Answer {
  return {
    status: 404,
    headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
    body: Buffer.from("404 page not found\n"),
  };
}

/** A path that lacks its last slash is sent there. */
export function slashMissing({ path, query }: RegistryRequest): Answer {
  return { status: 301, headers: { location: `${path}/${query === "" ? "" : `?${query}`}` } };
}

const PATHS: readonly (readonly [RegExp, RequestKind])[] = [
  [/^\/v2\/?$/, "ping"],
  [/^\/v2\/(?<repository>.+)\/tags\/list$/, "tags"],
  [/^\/v2\/(?<repository>.+)\/blobs\/uploads\/(?<reference>[^/]*)$/, "upload"],
  [/^\/v2\/(?<repository>.+)\/blobs\/uploads$/, "upload"],
  [/^\/v2\/(?<repository>.+)\/manifests\/(?<reference>[^/]+)$/, "manifest"],
  [/^\/v2\/(?<repository>.+)\/blobs\/(?<reference>[^/]+)$/, "blob"],
  [/^\/v2\/(?<repository>.+)\/referrers\/(?<reference>[^/]+)$/, "referrers"],
];

/** `kind` is for servers that are of one kind altogether: token servers, CDNs. */
export function readRequest(
  message: IncomingMessage,
  response: ServerResponse,
  {
    ledger,
    host,
    kind,
    plainSocket,
  }: {
    ledger: OpenLedger;
    host: string;
    kind?: RequestKind | undefined;
    /** Only TCP can be reset: the socket below TLS. */
    plainSocket: (socket: Socket) => Socket | undefined;
  },
): RegistryRequest {
  const url = message.url ?? "/";
  const mark = url.indexOf("?");
  const path = mark === -1 ? url : url.slice(0, mark);
  const query = mark === -1 ? "" : url.slice(mark + 1);
  const known = PATHS.find(([pattern]) => pattern.test(path));
  const named = known?.[0].exec(path)?.groups ?? {};
  const repository = kind ? "" : decoded(named["repository"]);
  const reference = kind ? "" : decoded(named["reference"]);
  const { authorization } = message.headers;
  const method = message.method ?? "GET";
  const entry = ledger.enter({
    host,
    method,
    path,
    query,
    kind: kind ?? (path === "/token" ? "token" : (known?.[1] ?? "other")),
    ...(repository === "" ? {} : { repository }),
    ...(reference === "" ? {} : { reference }),
    status: 0,
    ...(authorization === undefined ? {} : { authorization }),
    requestBytes: 0,
    responseBytes: 0,
    headers: message.headers,
    broken: false,
  });
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  return {
    entry,
    method,
    path,
    query,
    parameters: new URLSearchParams(query),
    headers: { ...message.headers },
    kind: entry.kind,
    repository,
    reference,
    body: { [Symbol.asyncIterator]: () => countedBody(message, entry) },
    response,
    break: (by = "reset") => {
      if (by === "reset") plainSocket(message.socket)?.resetAndDestroy();
      else message.socket.destroy();
    },
    gone: gone.signal,
  };
}

function decoded(text = ""): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function* countedBody(message: IncomingMessage, entry: LedgerEntry): AsyncGenerator<Uint8Array> {
  if (message.readableEnded) return;
  for await (const chunk of message.iterator({ destroyOnReturn: false })) {
    const bytes: Uint8Array = chunk;
    entry.requestBytes += bytes.length;
    yield bytes;
  }
}

export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(body));
}

/** Reads the rest of a request: a keep-alive connection needs this, and the ledger counts the bytes. */
export async function drain({ body }: RegistryRequest): Promise<void> {
  const chunks = body[Symbol.asyncIterator]();
  while (!(await chunks.next()).done);
}

export async function sendAnswer(request: RegistryRequest, answer: Answer): Promise<void> {
  const { entry, response } = request;
  entry.status = answer.status;
  entry.responseHeaders = answer.headers;
  if (answer.send) return answer.send(request);
  const { body } = answer;
  const bodiless = answer.status === 204 || answer.status === 304 || answer.status < 200;
  const length = bodiless ? {} : { "content-length": body?.length ?? 0 };
  response.writeHead(answer.status, { ...length, ...withoutUndefined(answer.headers) });
  await sendBody(request, request.method === "HEAD" || bodiless || !body ? new Uint8Array() : body);
}

export function withoutUndefined(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}

/** The size of one write. The ledger may be ahead of the network by this amount. */
const CHUNK_BYTES = 64 * 1024;

/** Sends bytes at the client's pace, then ends the answer. */
export async function sendBody(request: RegistryRequest, body: Uint8Array): Promise<void> {
  const last = Math.max(0, body.length - CHUNK_BYTES);
  await writeBody(request, body.subarray(0, last));
  request.entry.responseBytes += body.length - last;
  request.response.end(body.subarray(last));
}

export async function writeBody({ response, entry, gone }: RegistryRequest, body: Uint8Array): Promise<void> {
  for (let at = 0; at < body.length && !gone.aborted; at += CHUNK_BYTES) {
    const chunk = body.subarray(at, at + CHUNK_BYTES);
    entry.responseBytes += chunk.length;
    if (!response.write(chunk)) await drained(response, gone);
  }
}

async function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => resolve();
  response.once("drain", done);
  gone.addEventListener("abort", done, { once: true });
  await promise;
  response.off("drain", done);
  gone.removeEventListener("abort", done);
}

/** Waits until the client has gone (or the server closes). */
export async function untilGone(gone: AbortSignal): Promise<void> {
  if (gone.aborted) return;
  await new Promise<void>((resolve) => gone.addEventListener("abort", () => resolve(), { once: true }));
}
