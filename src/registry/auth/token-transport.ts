import { TagferryError } from "../../errors/error.ts";
import { type Cancellable, within } from "../../lib/cancel.ts";
import type { Breaker } from "../http/breaker.ts";
import { errorOfTransport } from "../http/error.ts";
import { USER_AGENT } from "../http/request.ts";
import { isSilence } from "../http/send.ts";
import type { Transport } from "../transport/transport.ts";
import type { TokenTransport } from "./token.ts";

type TokenTransportOptions = {
  readonly transport: Transport;
  readonly breakerOf: (realm: URL) => Breaker;
  /** The limit of a whole token request. */
  readonly timeoutMs: number;
};

const TOKEN_MAX_BYTES = 64 * 1024;

/**
 * Sends the requests to token servers. Each token server has a breaker. No redirects are followed, because a checked
 * realm must not lead to an unchecked one.
 */
export function openTokenTransport(options: TokenTransportOptions): TokenTransport {
  return async (request, { signal } = {}) => {
    const where = `${request.url.origin}${request.url.pathname}`;
    using attempt = options.breakerOf(request.url).begin();
    try {
      const answer = await exchange(request, options, where, { signal });
      attempt.answered();
      return answer;
    } catch (error) {
      const failure = errorOfTransport(error, { where, signal });
      if (isSilence(failure)) attempt.unanswered();
      throw failure;
    }
  };
}

async function exchange(
  { method, url, headers, body }: Parameters<TokenTransport>[0],
  { transport, timeoutMs }: TokenTransportOptions,
  where: string,
  { signal }: Cancellable,
): ReturnType<TokenTransport> {
  const response = await transport.dispatcherFor(url).request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    headers: {
      "user-agent": USER_AGENT,
      accept: "application/json",
      "accept-encoding": "identity",
      ...headers,
    },
    body: body ?? null,
    signal: within(timeoutMs, { signal }),
  });
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > TOKEN_MAX_BYTES) throw tooLong(where);
    chunks.push(chunk);
  }
  return {
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(chunks).toString("utf8"),
  };
}

function tooLong(where: string): TagferryError {
  return new TagferryError(
    "AUTH_TOKEN",
    `the token server ${where} answered with more than ${TOKEN_MAX_BYTES} bytes`,
    { where, allowed: TOKEN_MAX_BYTES },
  );
}
