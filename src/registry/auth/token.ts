import { TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { printable } from "../../lib/error.ts";
import { hideSecret } from "../../lib/redact.ts";
import type { Credential } from "../../oci/credential.ts";
import { snippet } from "../../oci/json.ts";
import { parseRetryAfter } from "../http/retry-after.ts";
import type { Headers } from "../profile.ts";

/** Sends one request to a token server. Follows no redirects, and reads at most 64 KiB of the body. */
export type TokenTransport = (
  request: {
    readonly method: "GET" | "POST";
    readonly url: URL;
    readonly headers: Record<string, string>;
    readonly body?: string;
  },
  options?: Cancellable,
) => Promise<{ readonly status: number; readonly headers: Headers; readonly body: string }>;

export type Token = {
  readonly text: string;
  /** By `performance.now()`, so that changes of the machine's clock have no effect. */ readonly expiresAtMs: number;
};

export type TokenRequest = {
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  readonly registry: string;
};

const CLIENT_ID = "tagferry";

/**
 * Gets a token: GET with Basic or anonymous; POST with a refresh token for identity tokens.
 *
 * @throws {TagferryError} AUTH_DENIED when the server refuses, AUTH_TOKEN when the answer contains no token
 * @see https://github.com/distribution/distribution/blob/main/docs/content/spec/auth/token.md
 */
export async function fetchToken(
  request: TokenRequest,
  send: TokenTransport,
  { signal }: Cancellable = {},
): Promise<Token> {
  const { realm, credential } = request;
  const startedMs = performance.now();
  const answer =
    credential?.kind === "identityToken"
      ? await post(request, credential.token, send, { signal })
      : await get(request, send, { signal });
  const where = `${realm.origin}${realm.pathname}`;
  if (answer.status === 401 || answer.status === 403)
    throw new TagferryError(
      "AUTH_DENIED",
      `${request.registry}: the token server ${where} refused ` +
        (credential ? "the credentials" : "an anonymous request"),
      {
        where: request.registry,
        status: answer.status,
        found: printable(snippet(answer.body), { maxLength: 200 }),
      },
    );
  const fail = (what: string): TagferryError =>
    new TagferryError("AUTH_TOKEN", `${request.registry}: the token server ${where} ${what}`, {
      where: request.registry,
      status: answer.status,
      ...(answer.body.includes("token")
        ? {}
        : { found: printable(snippet(answer.body), { maxLength: 200 }) }),
    });
  if (answer.status === 429 || answer.status >= 500) {
    const retryAt = parseRetryAfter(answer.headers, answer.body)?.toISOString();
    throw new TagferryError(
      answer.status === 429 ? "RATE_LIMITED" : "REGISTRY_UNAVAILABLE",
      `${request.registry}: the token server ${where} answered ${answer.status}`,
      { where: request.registry, status: answer.status, ...(retryAt === undefined ? {} : { retryAt }) },
    );
  }
  if (answer.status !== 200) throw fail(`answered ${answer.status}`);
  return readToken(answer.body, startedMs, fail);
}

function readToken(body: string, startedMs: number, fail: (what: string) => TagferryError): Token {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw fail("did not answer with JSON");
  }
  const {
    token,
    access_token: accessToken,
    expires_in: expiresIn,
  } = (typeof json === "object" && json !== null ? json : {}) as Record<string, unknown>;
  const text = [token, accessToken].find(
    (value): value is string => typeof value === "string" && value !== "",
  );
  // a token must be valid in a header
  if (text === undefined || !/^[\x21-\x7e]+$/.test(text)) throw fail("answered without a token");
  hideSecret(text);
  return { text, expiresAtMs: startedMs + lifetimeSeconds(expiresIn) * 1000 };
}

/** 60 seconds when the value is missing or shorter; one day when it is too large. */
function lifetimeSeconds(expiresIn: unknown): number {
  const seconds = Number(expiresIn);
  return Number.isFinite(seconds) ? Math.min(86_400, Math.max(60, seconds)) : 60;
}

function get(
  { realm, service, scopes, credential }: TokenRequest,
  send: TokenTransport,
  options: Cancellable,
): ReturnType<TokenTransport> {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.append("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  url.searchParams.append("client_id", CLIENT_ID);
  const headers: Record<string, string> = {};
  if (credential?.kind === "basic") {
    url.searchParams.append("account", credential.username);
    headers["authorization"] =
      `Basic ${Buffer.from(`${credential.username}:${credential.password}`).toString("base64")}`;
  }
  return send({ method: "GET", url, headers }, options);
}

/** @see https://github.com/distribution/distribution/blob/main/docs/content/spec/auth/oauth.md */
function post(
  { realm, service, scopes }: TokenRequest,
  refreshToken: string,
  send: TokenTransport,
  options: Cancellable,
): ReturnType<TokenTransport> {
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    refresh_token: refreshToken,
    client_id: CLIENT_ID,
    scope: scopes.join(" "),
  });
  if (service !== undefined) form.set("service", service);
  return send(
    {
      method: "POST",
      url: realm,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    },
    options,
  );
}
