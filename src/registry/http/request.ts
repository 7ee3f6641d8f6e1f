import type { RetryPolicy } from "../../errors/retry.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { Log } from "../../lib/log.ts";
import type { RateLimit } from "../../oci/rate-limit.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import type { Scope } from "../auth/scope.ts";
import type { Headers } from "../profile.ts";
import type { Transport } from "../transport/transport.ts";
import type { Breaker } from "./breaker.ts";
import type { Subject } from "./error.ts";
import type { Floor } from "./floor.ts";

export const USER_AGENT = "tagferry/0.1";

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
  /** From the end of the request to the first byte of the answer. Default: `firstByteMs`. */
  readonly firstByteMs?: number;
  /**
   * The limit of one attempt, with its redirects, its tokens and the body of its answer. Default: `requestMs`.
   * Infinity: the body has no limit, and the head has `requestMs`. The time to send a stream never counts.
   */
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
  /**
   * Reads the whole body.
   *
   * @throws {TagferryError} HTTP_PROTOCOL when it is longer than `maxBytes`; STALLED when it is too slow
   */
  bytes(maxBytes: number): Promise<Buffer>;
};

/** How long a request may take. `firstByteMs` and `requestMs` are the defaults of `Ask`. */
export type RequestTimeouts = Floor & {
  /** From the end of a request to the first byte of its answer. */
  readonly firstByteMs: number;
  /** The limit for a whole metadata request. */
  readonly requestMs: number;
  /** How long one request is retried, unless its caller has its own retry budget. */
  readonly retriesMs: number;
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
  readonly timeouts: RequestTimeouts;
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

/** A stream is sent once. Its source may fail too, so its failures say less about the registry. */
export function isStream(body: Ask["body"]): body is AsyncIterable<Uint8Array> {
  return body !== undefined && !(body instanceof Uint8Array);
}
