import { createSecureContext } from "node:tls";

import { Agent, type Dispatcher, ProxyAgent } from "undici";

import { isTagferryError, TagferryError } from "../errors/error.ts";
import { retry, type RetryPolicy } from "../errors/retry.ts";
import { type Cancellable, within } from "../lib/cancel.ts";
import { printable } from "../lib/error.ts";
import type { Log } from "../lib/log.ts";
import type { KubeAccess, KubeAccessOptions } from "./kube-access-types.ts";
import { openKubeAccess } from "./kube-access.ts";

export type ClusterOptions = KubeAccessOptions &
  Cancellable & {
    readonly log: Log;
    readonly retry?: Partial<RetryPolicy>;
  };

/** Requests to the Kubernetes API over one connection pool. */
export type Cluster = AsyncDisposable & {
  readonly access: Pick<KubeAccess, "namespace" | "installation" | "inCluster">;
  /**
   * The bearer token. It is also the password for the integrated registry. undefined: this user has only a client
   * certificate.
   */
  token(): Promise<string | undefined>;
  /**
   * Sends one request. The body and the answer are JSON.
   *
   * @throws {TagferryError} CLUSTER_DENIED, CLUSTER_UNREACHABLE, CLUSTER_ANSWER, STREAM_CONFLICT (409), STREAM_INVALID
   *   (422), and the error of `failed` for a status that is not in `expect`
   */
  call(call: Call, options?: Cancellable): Promise<KubeAnswer>;
  /**
   * Sends one GET whose answer is a stream of JSON lines (a watch), and reads it until the server ends it. No retries.
   *
   * @throws {TagferryError} as `call`; also CLUSTER_UNREACHABLE when no byte arrives for `timeoutMs`
   */
  lines(call: Pick<Call, "path" | "where" | "timeoutMs">, options?: Cancellable): AsyncIterable<unknown>;
};

export type Call = {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query. */
  readonly path: string;
  readonly body?: unknown;
  /** The content type of a patch. */
  readonly contentType?: string;
  /** Statuses other than 2xx that are valid answers. */
  readonly expect?: readonly number[];
  readonly timeoutMs?: number;
  /** The subject, for messages: `web/nginx`. */
  readonly where: string;
};

export type KubeAnswer = { readonly status: number; readonly body: unknown };

/** A Kubernetes `Status` object. It gives the reason of a failure. */
export type Status = {
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly name?: string; readonly kind?: string };
};

const TIMEOUT_MS = 60_000;
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;

export async function openCluster({
  log,
  retry: policy = {},
  signal: _,
  ...options
}: ClusterOptions): Promise<Cluster> {
  const access = await openKubeAccess(options);
  const dispatcher = dispatcherFor(access, { connections: 16 });
  // Each watch keeps a connection open. Calls must not wait for these connections.
  const watching = dispatcherFor(access, { connections: null });

  const headers = async (): Promise<Record<string, string>> => ({
    ...(await access.headers()),
    accept: "application/json",
    "user-agent": "tagferry",
  });
  const pathOf = (path: string): string => `${access.server.pathname.replace(/\/$/, "")}${path}`;

  async function once(call: Call, signal: AbortSignal | undefined): Promise<KubeAnswer> {
    const { method, path, body, where, contentType = "application/json", timeoutMs = TIMEOUT_MS } = call;
    const deadline = within(timeoutMs, { signal });
    try {
      const response = await dispatcher.request({
        origin: access.server.origin,
        path: pathOf(path),
        method,
        headers: {
          ...(await headers()),
          ...(body === undefined ? {} : { "content-type": contentType }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: timeoutMs,
        signal: deadline,
      });
      const answer = { status: response.statusCode, body: await readJson(response, where) };
      log.debug({ method, path, status: answer.status }, "cluster request");
      if ((answer.status >= 200 && answer.status < 300) || call.expect?.includes(answer.status))
        return answer;
      throw errorOf(answer, call, response.headers["retry-after"]);
    } catch (error) {
      throw transportError(error, where, signal);
    }
  }

  async function* lines(
    { path, where, timeoutMs = TIMEOUT_MS }: Pick<Call, "path" | "where" | "timeoutMs">,
    { signal }: Cancellable = {},
  ): AsyncGenerator<unknown, void, void> {
    try {
      const response = await watching.request({
        origin: access.server.origin,
        path: pathOf(path),
        method: "GET",
        headers: await headers(),
        bodyTimeout: timeoutMs,
        signal: signal ?? null,
      });
      log.debug({ method: "GET", path, status: response.statusCode }, "cluster request");
      if (response.statusCode === 200) return yield* readLines(response.body, where);
      const answer = { status: response.statusCode, body: await readJson(response, where) };
      throw errorOf(answer, { method: "GET", path, where }, response.headers["retry-after"]);
    } catch (error) {
      throw transportError(error, where, signal);
    }
  }

  return {
    access,
    lines,
    token: async () => /^Bearer (.+)$/.exec((await access.headers())["authorization"] ?? "")?.[1],
    call: (call, { signal } = {}) =>
      retry(() => once(call, signal), {
        ...policy,
        signal,
        onRetry: ({ code, message }, pauseMs) =>
          log.info({ code, pauseMs: Math.round(pauseMs) }, `again: ${message}`),
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all([dispatcher.destroy(), watching.destroy()]);
    },
  };
}

function dispatcherFor(
  { tls, proxy }: KubeAccess,
  { connections }: { readonly connections: number | null },
): Dispatcher {
  const { ca, cert, key, ...rest } = tls;
  // parsed once, not for each connection
  const connect = { ...rest, secureContext: createSecureContext({ ca, cert, key }), timeout: 10_000 };
  const common = {
    allowH2: false,
    connections,
    keepAliveTimeout: 30_000,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  };
  return proxy
    ? new ProxyAgent({ ...common, uri: proxy.href, requestTls: connect })
    : new Agent({ ...common, connect });
}

async function readJson(response: Dispatcher.ResponseData, where: string): Promise<unknown> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > ANSWER_MAX_BYTES)
      throw new TagferryError("CLUSTER_ANSWER", `${where}: the answer is too long`, {
        where,
        allowed: ANSWER_MAX_BYTES,
      });
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    // not from the API server but from a login page or a router: the status is enough
    if (response.statusCode >= 300) return { message: printable(text, { maxLength: 200 }) };
    throw new TagferryError("CLUSTER_ANSWER", `${where}: the API server did not answer with JSON`, {
      cause,
      where,
      found: printable(text, { maxLength: 120 }),
    });
  }
}

async function* readLines(body: AsyncIterable<Buffer>, where: string): AsyncGenerator<unknown, void, void> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for await (const chunk of body) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      yield parseLine(Buffer.concat([...begun, chunk.subarray(from, end)]), where);
      begun = [];
      begunBytes = 0;
      from = end + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
    begunBytes += chunk.length - from;
    if (begunBytes > ANSWER_MAX_BYTES)
      throw new TagferryError("CLUSTER_ANSWER", `${where}: a line of the answer is too long`, {
        where,
        allowed: ANSWER_MAX_BYTES,
      });
  }
}

function parseLine(line: Buffer, where: string): unknown {
  const text = line.toString("utf8");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TagferryError("CLUSTER_ANSWER", `${where}: the API server did not answer with lines of JSON`, {
      cause,
      where,
      found: printable(text, { maxLength: 120 }),
    });
  }
}

export function apiStatusOf(body: unknown): Status {
  return typeof body === "object" && body !== null ? body : {};
}

function errorOf(
  { status, body }: KubeAnswer,
  { method, path, where }: Call,
  retryAfter: string | string[] | undefined,
): TagferryError {
  const { message = "", reason } = apiStatusOf(body);
  const seconds = Number(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter);
  const details = {
    where,
    status,
    ...(reason === undefined ? {} : { reason }),
    found: printable(message === "" ? `${status}` : message, { maxLength: 400 }),
    ...(Number.isFinite(seconds) && seconds > 0
      ? { retryAt: new Date(Date.now() + seconds * 1000).toISOString() }
      : {}),
  };
  const said = `${method} ${path.split("?")[0]}: ${status}`;
  if (status === 409)
    return new TagferryError("STREAM_CONFLICT", `${where}: somebody else changed it (${said})`, details);
  if (status === 401)
    return new TagferryError(
      "CLUSTER_DENIED",
      `${where}: the cluster does not accept the credentials (${said})`,
      {
        ...details,
        next: "Log in again with `oc login`.",
      },
    );
  if (status === 403) return forbidden(message, where, said, details);
  if (status === 429 || status >= 500)
    return new TagferryError(
      "CLUSTER_UNREACHABLE",
      `${where}: the API server answers with an error (${said})`,
      details,
    );
  if (status === 404 && /namespaces? "[^"]*" not found/.test(message))
    return new TagferryError("STREAM_NAMESPACE", `${where}: the namespace does not exist`, details);
  return new TagferryError(
    status === 422 ? "STREAM_INVALID" : "CLUSTER_ANSWER",
    `${where}: ${said} ${printable(message, { maxLength: 200 })}`,
    details,
  );
}

/**
 * For a missing right, RBAC names the verb and the resource. The API server also answers 403 for a quota and for a
 * namespace that is being deleted.
 */
function forbidden(
  message: string,
  where: string,
  said: string,
  details: Record<string, unknown>,
): TagferryError {
  if (/being terminated|is terminating/.test(message))
    return new TagferryError("STREAM_NAMESPACE", `${where}: the namespace is being deleted`, details);
  const [, verb, resource] = /cannot (\w+) resource "([^"]+)"/.exec(message) ?? [];
  // The message about a missing right contains the names of user and namespace. These may contain "limit".
  if (verb === undefined && /quota|limit/i.test(message))
    return new TagferryError(
      "TARGET_QUOTA",
      `${where}: a quota or limit of the namespace refuses it`,
      details,
    );
  const namespace = where.split("/")[0];
  return new TagferryError(
    "CLUSTER_DENIED",
    `${where}: we may not ${verb === undefined ? "do this" : `${verb} ${resource}`} (${said})`,
    {
      ...details,
      next: `Grant it: oc adm policy add-role-to-user registry-editor USER -n ${namespace}`,
    },
  );
}

function transportError(error: unknown, where: string, signal: AbortSignal | undefined): unknown {
  if (isTagferryError(error)) return error;
  if (signal?.aborted) return signal.reason;
  const { code, message } = innermost(error);
  return new TagferryError("CLUSTER_UNREACHABLE", `${where}: the API server cannot be reached`, {
    cause: error,
    where,
    found: printable(`${code} ${message}`.trim(), { maxLength: 200 }),
  });
}

function innermost(error: unknown): { readonly code: string; readonly message: string } {
  const {
    cause,
    code = "",
    message = String(error),
  } = (error ?? {}) as { cause?: unknown; code?: string; message?: string };
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  return code === "" && cause !== undefined ? innermost(cause) : { code, message };
}
