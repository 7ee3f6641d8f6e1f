import { isIP } from "node:net";

import { getConnInfo } from "@hono/node-server/conninfo";
import type { Context } from "hono";
import { getCookie } from "hono/cookie";

import { TagferryError } from "../../errors/error.ts";
import { printable } from "../../lib/error.ts";
import type { Caller } from "../env.ts";
import type { Guesses } from "./guesses.ts";
import { addressText, isLoopbackAddress, peerOf } from "./peer.ts";
import { sameSecret, type Secret } from "./secret.ts";
import { type Access, SESSION_COOKIE, type Sessions, type Tokens } from "./sessions.ts";

/**
 * Whose `X-Forwarded-User` is trusted: a proxy on this machine, or a proxy that sends the secret. The header gives only
 * a name, never access.
 */
export type TrustedProxy =
  | { readonly kind: "loopback" }
  | { readonly kind: "secret"; readonly secret: Secret };

export type AccessOptions = {
  /** undefined: no token. Allowed on loopback only. */
  readonly token: Secret | undefined;
  /** Allows reading only. */
  readonly readToken: Secret | undefined;
  readonly proxy: TrustedProxy | undefined;
  readonly sessions: Sessions;
  readonly guesses: Guesses;
};

/**
 * Identifies the caller of this request.
 *
 * @throws {TagferryError} WEB_UNAUTHORIZED; WEB_BUSY after too many wrong tokens; WEB_ORIGIN when no token is set and
 *   Host is not a name of this machine (DNS rebinding)
 */
export async function callerOf(context: Context, options: AccessOptions): Promise<Caller> {
  const { token, sessions } = options;
  const user = await forwardedUser(context, options.proxy);
  const from = addressOf(context);
  if (!token) {
    if (!isLocalHost(context.req.header("host") ?? ""))
      throw new TagferryError("WEB_ORIGIN", "without a token this page answers only to localhost");
    return { kind: "local", by: user ?? `somebody at ${from}`, access: "act" };
  }
  const tokens = await readTokens({ token, readToken: options.readToken });
  const bearer = bearerOf(context.req.header("authorization"));
  if (bearer !== undefined) {
    const access = tokenAccess(bearer, tokens);
    if (access !== undefined) return { kind: "token", by: user ?? `token from ${from}`, access };
    rejectBearer(context, options.guesses);
  }
  const cookie = getCookie(context, SESSION_COOKIE);
  const access = cookie === undefined ? undefined : await sessions.check(cookie, tokens);
  if (access !== undefined) return { kind: "session", by: user ?? `page from ${from}`, access };
  throw new TagferryError("WEB_UNAUTHORIZED", "this request needs the token of the daemon");
}

/**
 * A correct token is always accepted. Otherwise one client behind a shared router could lock out all others. Only wrong
 * tokens are limited.
 */
function rejectBearer(context: Context, guesses: Guesses): void {
  const peer = peerOf(getConnInfo(context).remote.address);
  guesses.assertAllowed(peer);
  guesses.failed(peer);
}

export async function readTokens({
  token,
  readToken,
}: {
  readonly token: Secret;
  readonly readToken: Secret | undefined;
}): Promise<Tokens> {
  const [act, read] = await Promise.all([token(), readToken?.()]);
  return { act, read };
}

/** What a token allows. Always compares both tokens, so that the duration reveals nothing. */
export function tokenAccess(text: string, { act, read }: Tokens): Access | undefined {
  const acts = sameSecret(text, act);
  const reads = sameSecret(text, read ?? act);
  if (acts) return "act";
  return reads ? "read" : undefined;
}

/** The name from a trusted proxy, for the audit log; undefined when the proxy is not trusted or gives no name. */
async function forwardedUser(context: Context, proxy: TrustedProxy | undefined): Promise<string | undefined> {
  const user = context.req.header("x-forwarded-user");
  if (user === undefined || user === "" || !proxy) return undefined;
  const trusted =
    proxy.kind === "loopback"
      ? isLoopbackAddress(getConnInfo(context).remote.address)
      : sameSecret(context.req.header("x-tagferry-proxy-secret") ?? "", await proxy.secret());
  return trusted ? `${printable(user, { maxLength: 100 })} (proxy)` : undefined;
}

/**
 * Allows an action only when the request comes from our own page. A browser sends its origin; a program with the token
 * need not.
 *
 * If a proxy changed Host, Sec-Fetch-Site decides. Web pages cannot forge this header.
 *
 * @throws {TagferryError} WEB_ORIGIN
 */
export function checkOrigin(context: Context, caller?: Caller): void {
  const origin = context.req.header("origin");
  const site = context.req.header("sec-fetch-site");
  if (origin === undefined && site === undefined && caller?.kind === "token") return;
  if (site === "same-origin") return;
  const here = context.req.header("host")?.toLowerCase();
  const same = origin !== undefined && here !== undefined && URL.parse(origin)?.host === here;
  if (!same || (site !== undefined && site !== "none"))
    throw new TagferryError("WEB_ORIGIN", "the request does not come from this page");
}

/**
 * Allows metrics without a token when Host is an IP address or a name inside the cluster, as in requests of Prometheus.
 * A public name needs the token, because any web site can point its name at this machine.
 *
 * @throws {TagferryError} as `callerOf`
 */
export async function checkMetricsAccess(context: Context, options: AccessOptions): Promise<void> {
  const host = hostnameOf(context.req.header("host") ?? "");
  const known = options.token ? isInternalName(host) : isLocalName(host);
  if (!known) await callerOf(context, options);
}

/**
 * The same check for a worker, which has no token: any IP address or internal name, no public name. @throws
 * {TagferryError} WEB_ORIGIN
 */
export function checkInternalHost(context: Context): void {
  if (!isInternalName(hostnameOf(context.req.header("host") ?? "")))
    throw new TagferryError(
      "WEB_ORIGIN",
      "metrics are available only under an IP address or a name inside the cluster",
    );
}

/** Parses the scheme in upper or lower case, spaces, and the token; undefined when the header has another form. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^Bearer +(\S.*)$/i.exec(header ?? "")?.[1];
}

export function addressOf(context: Context): string {
  return addressText(getConnInfo(context).remote.address) ?? "an unknown address";
}

function isLocalHost(host: string): boolean {
  return isLocalName(hostnameOf(host));
}

function hostnameOf(host: string): string {
  return URL.parse(`http://${host}`)?.hostname ?? "";
}

function isLocalName(name: string): boolean {
  return name === "localhost" || name === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(name);
}

/**
 * An IP address, a name without a dot, or a name in the cluster. None of these can be a public DNS name of someone
 * else.
 */
function isInternalName(name: string): boolean {
  if (name === "") return false;
  if (isIP(name.replace(/^\[|\]$/g, "")) !== 0 || !name.includes(".")) return true;
  return name.endsWith(".svc") || name.endsWith(".cluster.local");
}
