import { createSecureContext } from "node:tls";

import { Agent, type Dispatcher, ProxyAgent } from "undici";

import { retry, type RetryPolicy } from "../errors/retry.ts";
import { type Cancellable, unlessAborted, within } from "../lib/cancel.ts";
import type { Log } from "../lib/log.ts";
import { trustSystem } from "../lib/system-trust.ts";
import type { KubeAccess, KubeAccessOptions } from "./access/kube-access-types.ts";
import { openKubeAccess } from "./access/kube-access.ts";
import { readJson, readLines } from "./answer-body.ts";
import { errorOfAnswer, errorOfConnection } from "./cluster-error.ts";

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

const TIMEOUT_MS = 60_000;

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
          ...(await unlessAborted(headers(), signal)),
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
      throw errorOfAnswer(answer, call, response.headers["retry-after"]);
    } catch (error) {
      throw errorOfConnection(error, where, signal);
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
        headers: await unlessAborted(headers(), signal),
        bodyTimeout: timeoutMs,
        signal: signal ?? null,
      });
      log.debug({ method: "GET", path, status: response.statusCode }, "cluster request");
      if (response.statusCode === 200) return yield* readLines(response.body, where);
      const answer = { status: response.statusCode, body: await readJson(response, where) };
      throw errorOfAnswer(answer, { method: "GET", path, where }, response.headers["retry-after"]);
    } catch (error) {
      throw errorOfConnection(error, where, signal);
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
  if (ca === undefined || proxy?.protocol === "https:") trustSystem();
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
