import type { Readable } from "node:stream";

import type { Dispatcher } from "undici";

import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { withRetryBudget } from "../../errors/retry-budget.ts";
import { DEFAULT_RETRY, retry, type RetryPolicy } from "../../errors/retry.ts";
import { type Cancellable, within } from "../../lib/cancel.ts";
import type { Log } from "../../lib/log.ts";
import { type RateLimit, uploadQueueOf } from "../../oci/rate-limit.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { parseChallenges } from "../auth/challenge.ts";
import type { Scope } from "../auth/scope.ts";
import type { Headers } from "../profile.ts";
import type { DirectAnswer } from "../transport/exchange.ts";
import type { Transport } from "../transport/transport.ts";
import type { Breaker } from "./breaker.ts";
import { errorOfResponse, errorOfTransport, type Subject } from "./error.ts";
import { nextHop } from "./redirect.ts";

/**
 * One request to a registry. It goes to the registry's own origin, with credentials. Redirects of GET and HEAD are
 * followed without credentials.
 */
export type Ask = {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes can be sent again. A stream cannot, so its request is sent only once. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly scopes: readonly Scope[];
  readonly subject: Subject;
  /** Statuses that are valid answers. All others are errors. */
  readonly expect: readonly number[];
  readonly timeoutMs?: number;
  /** Return redirects to the caller instead of following them. */
  readonly manualRedirect?: boolean;
  /** The body will be large, so a connection that reads large pieces is worth its cost. */
  readonly isLarge?: boolean;
};

export type Answer = AsyncDisposable & {
  readonly status: number;
  readonly headers: Headers;
  /** The final URL of the answer, after redirects. */
  readonly url: URL;
  /** A chunk is valid only until the next one is requested. */
  readonly body: AsyncIterable<Buffer>;
  /** Reads the whole body. @throws {TagferryError} HTTP_PROTOCOL when it is longer than `maxBytes` */
  bytes(maxBytes: number): Promise<Buffer>;
};

export type RequesterOptions = {
  readonly registry: string;
  readonly registryUrl: URL;
  readonly transport: Transport;
  readonly authenticator: Authenticator;
  readonly rateLimit: RateLimit;
  readonly breaker: Breaker;
  readonly log: Log;
  readonly retry: Partial<RetryPolicy>;
  /** How long one request is retried, unless its caller has its own retry budget. */
  readonly retriesMs: number;
  readonly timeoutMs: number;
  readonly userAgent: string;
  readonly onAnswer: (headers: Headers) => void;
  readonly onRequest: ((request: RequestFacts) => void) | undefined;
};

/** Facts about one request, for metrics. */
export type RequestFacts = {
  readonly registry: string;
  /** undefined: the connection failed. */
  readonly status: number | undefined;
  /** How many pulls are left, according to the registry. */
  readonly pullsLeft?: number;
};

/** Sends requests, with rate limit, credentials, redirects and retries. The caller must dispose of the answer. */
export type Requester = {
  ask(ask: Ask, options?: Cancellable): Promise<Answer>;
  /** Like `ask`, but without retries. */
  askOnce(ask: Ask, options?: Cancellable): Promise<Answer>;
};

const ERROR_BODY_BYTES = 64 * 1024;
const REDIRECTS_MAX = 10;

export function openRequester(options: RequesterOptions): Requester {
  const { registry, registryUrl, transport, authenticator, rateLimit, log, userAgent, onAnswer } = options;
  const rateLimited = openRateLimited(options);

  async function askOnce(ask: Ask, { signal }: Cancellable = {}): Promise<Answer> {
    options.breaker.check(); // fails before it waits in the queue
    // Streamed uploads have their own queue. Otherwise a copy within one registry would wait for itself.
    const line = isContent(ask.body) ? uploadQueueOf(registry) : registry;
    const slot = await rateLimit.request(line, { signal });
    try {
      const answer = await authorized(ask, signal);
      rateLimited.answered();
      return release(answer, slot);
    } catch (error) {
      slot[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends with the known credentials, and up to three more times when the registry answers with 401. */
  async function authorized(ask: Ask, signal: AbortSignal | undefined): Promise<Answer> {
    const { scopes, subject } = ask;
    let sent = await authenticator.header(scopes, { signal });
    let redirectedAgain = false;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await followed(ask, sent, signal);
      if (answer.url.origin !== registryUrl.origin) {
        // the signed URL has expired: the registry signs a new one, once
        if (![400, 401, 403].includes(answer.status) || redirectedAgain) return judged(answer, ask);
        redirectedAgain = true;
        await drain(answer);
        continue;
      }
      if (answer.status !== 401 && !(attempt === 1 && lacksScope(answer)))
        return judged(answer, ask).catch((error: unknown) => rateLimited.heard(error));
      const wwwAuthenticate = answer.headers["www-authenticate"];
      // The upload session still exists, but the stream is consumed: the caller must open it again.
      const body = await drain(answer);
      const refused = errorOfResponse({ status: answer.status, headers: answer.headers, body }, subject);
      if (refused.code === "TARGET_PROJECT") throw refused;
      sent = await authenticator.challenged(
        { wwwAuthenticate, scopes, sent, attempt, where: subject.where },
        { signal },
      );
      if (isContent(ask.body))
        throw new TagferryError("UPLOAD", `${subject.where}: the token expired while a blob was sent`, {
          where: subject.where,
          status: 401,
          found: body,
        });
    }
  }

  async function followed(
    ask: Ask,
    authorization: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const chain = [ask.url];
    for (;;) {
      const url = chain.at(-1) ?? ask.url;
      const own = url.origin === registryUrl.origin;
      const answer = await exchange(ask, url, own ? authorization : undefined, signal);
      if (own) onAnswer(answer.headers);
      const redirected = [301, 302, 303, 307, 308].includes(answer.status);
      const readOnly = ask.method === "GET" || ask.method === "HEAD";
      if (!redirected || !readOnly || ask.manualRedirect === true) return answer;
      await answer[Symbol.asyncDispose]();
      chain.push(
        await nextHop(chain, answer.headers["location"], {
          registryUrl,
          max: REDIRECTS_MAX,
          mayRedirectTo: transport.mayRedirectTo,
        }),
      );
    }
  }

  function reported(answer: Answer, method: Ask["method"]): Answer {
    const left = /^\d+/.exec([answer.headers["ratelimit-remaining"] ?? ""].flat()[0] ?? "")?.[0];
    options.onRequest?.({
      registry,
      status: answer.status,
      ...(left === undefined ? {} : { pullsLeft: Number(left) }),
    });
    log.debug({ registry, method, path: answer.url.pathname, status: answer.status }, "request");
    return answer;
  }

  async function exchange(
    ask: Ask,
    url: URL,
    authorization: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const { method, body, headers = {}, subject } = ask;
    // The time to send a stream does not count; the time until the answer after it does.
    using attempt = url.origin === registryUrl.origin ? options.breaker.begin() : undefined;
    const endless = ask.timeoutMs === Infinity || isContent(body);
    const deadline = endless ? signal : within(ask.timeoutMs ?? options.timeoutMs, { signal });
    const sent = {
      "user-agent": userAgent,
      "accept-encoding": "identity",
      ...headers,
      ...(authorization === undefined ? {} : { authorization }),
    };
    try {
      const large = ask.isLarge === true ? transport.directTo(url) : undefined;
      const read = await large?.get({ url, headers: sent }, { signal: deadline });
      if (read) {
        attempt?.answered();
        return reported(answerOf(fromDirect(read), url, subject, deadline), method);
      }
      const request: Dispatcher.RequestOptions = {
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: sent,
        body: bodyOf(body),
        // by default undici closes the connection after a HEAD
        ...(method === "HEAD" ? { reset: false } : {}),
        ...(ask.timeoutMs === undefined || ask.timeoutMs === Infinity
          ? {}
          : { headersTimeout: ask.timeoutMs }),
        signal: deadline ?? null,
      };
      const response = await transport.dispatcherFor(url).request(request);
      attempt?.answered();
      return reported(answerOf(fromClient(response), url, subject, deadline), method);
    } catch (error) {
      options.onRequest?.({ registry, status: undefined });
      const failure = errorOfTransport(error, { where: subject.where, signal });
      // A failed stream does not count: its source may have failed, and an earlier request was answered.
      if (!isContent(body) && isSilence(failure)) attempt?.unanswered();
      if (url.origin === registryUrl.origin) rateLimited.heard(failure);
      throw failure;
    }
  }

  return {
    askOnce,
    async ask(ask, cancellable = {}) {
      const { budget, signal } = withRetryBudget(options.retriesMs, cancellable);
      return retry(() => askOnce(ask, { signal }), {
        ...options.retry,
        signal,
        mayRetry: (error, pauseMs) => budget.allows(error, pauseMs),
        onRetry: ({ code, message }, pauseMs) =>
          log.info({ code, pauseMs: Math.round(pauseMs) }, `again: ${message}`),
      });
    },
  };
}

function isSilence(error: unknown): boolean {
  return isTagferryError(error, "REGISTRY_UNREACHABLE", "REGISTRY_DNS", "STALLED");
}

type RateLimited = {
  /** Throws the error again. If it is RATE_LIMITED, the registry is paused for all callers. */
  heard(error: unknown): never;
  answered(): void;
};

/** How long a registry is paused: as long as it says, otherwise longer with each RATE_LIMITED answer. */
function openRateLimited({ registry, rateLimit, retry: policy }: RequesterOptions): RateLimited {
  const { baseMs, capMs } = { ...DEFAULT_RETRY, ...policy };
  let complaints = 0;
  let untilMs = 0;
  return {
    heard(error) {
      if (!isTagferryError(error, "RATE_LIMITED")) throw error;
      const { retryAt } = error.details;
      const namesTime = typeof retryAt === "string";
      // requests that were already in progress at the first such answer do not count
      if (!namesTime && Date.now() < untilMs) throw error;
      untilMs = namesTime ? Date.parse(retryAt) : Date.now() + Math.min(capMs, baseMs * 2 ** complaints);
      complaints += 1;
      rateLimit.pauseUntil(registry, new Date(untilMs));
      throw error;
    },
    answered() {
      complaints = 0;
    },
  };
}

function isContent(body: Ask["body"]): body is AsyncIterable<Uint8Array> {
  return body !== undefined && !(body instanceof Uint8Array);
}

function bodyOf(body: Ask["body"]): Uint8Array | Readable | null {
  if (body === undefined) return null;
  return body instanceof Uint8Array ? body : asReadable(body);
}

/** undici sends any async iterable directly, without stream buffers. Only its types require a Readable. */
function asReadable(content: AsyncIterable<Uint8Array>): Readable {
  const iterable: unknown = content;
  return iterable as Readable;
}

/** Some registries answer 403 when the token only lacks a scope, and name this scope. */
function lacksScope({ status, headers }: Answer): boolean {
  return (
    status === 403 &&
    parseChallenges(headers["www-authenticate"]).some(
      ({ parameters }) => parameters["error"] === "insufficient_scope" && parameters["scope"] !== undefined,
    )
  );
}

async function judged(answer: Answer, ask: Ask): Promise<Answer> {
  if (ask.expect.includes(answer.status)) return answer;
  throw await refusal(answer, ask);
}

async function refusal(answer: Answer, { subject }: Ask): Promise<TagferryError> {
  const { status, headers } = answer;
  return errorOfResponse({ status, headers, body: await drain(answer) }, subject);
}

/** Reads the relevant part of a body, and returns the connection to its pool. */
async function drain(answer: Answer): Promise<string> {
  try {
    const chunks: Buffer[] = [];
    let total = 0;
    for await (const chunk of answer.body) {
      chunks.push(chunk);
      total += chunk.length;
      if (total > ERROR_BODY_BYTES) break;
    }
    return Buffer.concat(chunks).subarray(0, ERROR_BODY_BYTES).toString("utf8");
  } catch {
    return ""; // the status is enough
  }
}

type Response = Pick<Answer, "status" | "headers" | "body"> & { close(): Promise<void> };

function fromDirect(answer: DirectAnswer): Response {
  const { statusCode: status, headers, body } = answer;
  return { status, headers, body, close: async () => answer.close() };
}

function fromClient({ statusCode: status, headers, body }: Dispatcher.ResponseData): Response {
  return {
    status,
    headers,
    body,
    async close() {
      body.on("error", () => {}); // later errors of the body are ignored
      if (body.destroyed || body.readableEnded) return;
      await body.dump({ limit: ERROR_BODY_BYTES }).catch(() => {});
    },
  };
}

function answerOf(response: Response, url: URL, subject: Subject, signal: AbortSignal | undefined): Answer {
  const { status, headers, body } = response;
  return {
    status,
    headers,
    url,
    body,
    async bytes(maxBytes) {
      const chunks: Buffer[] = [];
      let total = 0;
      try {
        for await (const chunk of body) {
          total += chunk.length;
          if (total > maxBytes)
            throw new TagferryError(
              "HTTP_PROTOCOL",
              `${subject.where}: the answer is longer than ${maxBytes} bytes`,
              { where: subject.where, allowed: maxBytes },
            );
          chunks.push(chunk);
        }
      } catch (error) {
        throw errorOfTransport(error, { where: subject.where, signal });
      }
      return Buffer.concat(chunks);
    },
    [Symbol.asyncDispose]: () => response.close(),
  };
}

/** Releases the slot when the answer is disposed of. */
function release(answer: Answer, slot: Disposable): Answer {
  let held = true;
  return {
    ...answer,
    async [Symbol.asyncDispose]() {
      if (held) slot[Symbol.dispose]();
      held = false;
      await answer[Symbol.asyncDispose]();
    },
  };
}
