import type { Readable } from "node:stream";

import type { Dispatcher } from "undici";

import { isTagferryError } from "../../errors/error.ts";
import { answerOf, fromClient, fromDirect, type OpenAnswer, type Response } from "./answer.ts";
import { errorOfTransport } from "./error.ts";
import type { PauseAfter429 } from "./pause.ts";
import { type Answer, type Ask, isStream, type RequesterOptions } from "./request.ts";

/** One request to one URL. `signal`: the caller's. `limit`: also ends the attempt after its time. */
export type Sending = {
  readonly ask: Ask;
  readonly url: URL;
  readonly authorization: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly limit: AbortSignal | undefined;
};

export type Send = (sending: Sending) => Promise<OpenAnswer>;

/**
 * Sends one request, without redirects, tokens and retries. Only requests to the registry's own origin count for its
 * breaker.
 *
 * @throws {TagferryError} REGISTRY_UNRESPONSIVE, REGISTRY_*, STALLED, RATE_LIMITED, HTTP_PROTOCOL
 */
export function openSend(options: RequesterOptions, pause: PauseAfter429): Send {
  const { registry, registryUrl, breaker, timeouts } = options;

  return async (sending) => {
    const { ask, url, signal } = sending;
    const isOwn = url.origin === registryUrl.origin;
    using attempt = isOwn ? breaker.begin() : undefined;
    try {
      const response = await respond(sending, options);
      attempt?.answered();
      reportAnswer(response, sending, options);
      return answerOf(response, { ...timeouts, url, ask, signal });
    } catch (error) {
      options.onRequest?.({ registry, status: undefined });
      const failure = errorOfTransport(error, { where: ask.subject.where, signal });
      // A failed stream does not count: its source may have failed, and an earlier request was answered.
      if (!isStream(ask.body) && isSilence(failure)) attempt?.unanswered();
      if (isOwn) pause.heard(failure);
      throw failure;
    }
  };
}

/** Whether an error means that there was no answer: no connection, or silence. */
export function isSilence(error: unknown): boolean {
  return isTagferryError(error, "REGISTRY_UNREACHABLE", "REGISTRY_DNS", "STALLED");
}

async function respond(
  { ask, url, authorization, limit }: Sending,
  { transport, userAgent }: RequesterOptions,
): Promise<Response> {
  const headers = {
    "user-agent": userAgent,
    "accept-encoding": "identity",
    ...ask.headers,
    ...(authorization === undefined ? {} : { authorization }),
  };
  const large = ask.isLarge === true ? transport.directTo(url) : undefined;
  const read = await large?.get({ url, headers }, { signal: limit });
  if (read) return fromDirect(read);
  const request: Dispatcher.RequestOptions = {
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: ask.method,
    headers,
    body: bodyOf(ask.body),
    // by default undici closes the connection after a HEAD
    ...(ask.method === "HEAD" ? { reset: false } : {}),
    ...(ask.firstByteMs === undefined ? {} : { headersTimeout: ask.firstByteMs }),
    signal: limit ?? null,
  };
  return fromClient(await transport.dispatcherFor(url).request(request));
}

function reportAnswer(
  { status, headers }: Pick<Answer, "status" | "headers">,
  { ask, url }: Sending,
  { registry, registryUrl, log, onAnswer, onRequest }: RequesterOptions,
): void {
  const left = /^\d+/.exec([headers["ratelimit-remaining"] ?? ""].flat()[0] ?? "")?.[0];
  onRequest?.({ registry, status, ...(left === undefined ? {} : { pullsLeft: Number(left) }) });
  log.debug({ registry, method: ask.method, path: url.pathname, status }, "request");
  if (url.origin === registryUrl.origin) onAnswer(headers);
}

function bodyOf(body: Ask["body"]): Uint8Array | Readable | null {
  if (body === undefined) return null;
  return isStream(body) ? asReadable(body) : body;
}

/** undici sends any async iterable directly, without stream buffers. Only its types require a Readable. */
function asReadable(content: AsyncIterable<Uint8Array>): Readable {
  const iterable: unknown = content;
  return iterable as Readable;
}
