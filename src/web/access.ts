import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

import { getConnInfo } from "@hono/node-server/conninfo";
import type { Context } from "hono";
import { getCookie } from "hono/cookie";

import { TagferryError } from "../errors/error.ts";
import { printable } from "../lib/error.ts";

/** A secret that is read again at each use: a mounted file may change. */
export type Secret = () => Promise<string>;

/** Who asks: by the token, by the page's cookie, or (no token is set) because he is on this machine. */
export type Caller = { readonly kind: "token" | "session" | "local"; readonly by: string };

export const SESSION_COOKIE = "tagferry_session";
export const SESSION_S = 12 * 3_600;

/** In constant time: nothing about where two texts differ, or how long they are, can be measured. */
export function sameSecret(one: string, other: string): boolean {
  return timingSafeEqual(hashOf(one), hashOf(other));
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * A random session, signed by the token: every replica knows it, and it ends when the token changes. It tells nothing of the
 * token.
 */
export function newSession(token: string, now: number): string {
  const session = `${randomBytes(24).toString("base64url")}.${now + SESSION_S * 1000}`;
  return `${session}.${signatureOf(session, token)}`;
}

function isSession(cookie: string, token: string, now: number): boolean {
  const [id = "", expires = "", signature = "", ...rest] = cookie.split(".");
  const signed = sameSecret(signature, signatureOf(`${id}.${expires}`, token));
  return signed && rest.length === 0 && /^\d{1,16}$/.test(expires) && Number(expires) > now;
}

function signatureOf(session: string, token: string): string {
  return createHmac("sha256", token).update(`tagferry session ${session}`).digest("base64url");
}

/**
 * Who asks.
 *
 * @throws {TagferryError} WEB_UNAUTHORIZED; WEB_ORIGIN when without a token the page is asked for under a strange name (a site
 *   whose name was made to point at this machine)
 */
export async function callerOf(context: Context, token: Secret | undefined): Promise<Caller> {
  const from = addressOf(context);
  if (!token) {
    if (!isLocalHost(context.req.header("host") ?? ""))
      throw new TagferryError("WEB_ORIGIN", "without a token this page answers to localhost only");
    const proxied = context.req.header("x-forwarded-user");
    return {
      kind: "local",
      by: proxied ? `${printable(proxied, { maxLength: 100 })} (proxy)` : `somebody at ${from}`,
    };
  }
  const expected = await token();
  const bearer = bearerOf(context.req.header("authorization"));
  if (bearer !== undefined && sameSecret(bearer, expected))
    return { kind: "token", by: `token from ${from}` };
  const cookie = getCookie(context, SESSION_COOKIE);
  if (cookie !== undefined && isSession(cookie, expected, Date.now()))
    return { kind: "session", by: `page from ${from}` };
  throw new TagferryError("WEB_UNAUTHORIZED", "this needs the daemon's token");
}

/**
 * Lets a request act only when it comes from this very page. A browser says where it comes from; a program with the token
 * need not.
 *
 * A proxy may have rewritten Host: then Sec-Fetch-Site tells, which no page can forge.
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

export function bearerOf(header: string | undefined): string | undefined {
  return /^Bearer +(\S.*)$/i.exec(header ?? "")?.[1];
}

export function addressOf(context: Context): string {
  return getConnInfo(context).remote.address?.replace(/^::ffff:/, "") ?? "an unknown address";
}

function isLocalHost(host: string): boolean {
  const name = URL.parse(`http://${host}`)?.hostname ?? "";
  return name === "localhost" || name === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(name);
}
