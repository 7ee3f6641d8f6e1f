import { getConnInfo } from "@hono/node-server/conninfo";
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";

import { type AccessOptions, checkOrigin, readTokens, tokenAccess } from "../access/caller.ts";
import { peerOf } from "../access/peer.ts";
import { SESSION_COOKIE, SESSION_S } from "../access/sessions.ts";
import type { Assets } from "../assets.ts";
import { formOf } from "../body.ts";
import type { WebEnv } from "../env.ts";
import { ownPath } from "./answers.ts";
import { loginPage } from "./login.ts";
import { pageDocument } from "./parts/document.ts";

type SessionOptions = { readonly access: AccessOptions; readonly assets: Assets };

/** Wrong tokens are limited, per peer and in total. The duration of an answer reveals nothing about the token. */
export async function login(context: Context<WebEnv>, { access, assets }: SessionOptions): Promise<Response> {
  checkOrigin(context);
  const form = await formOf(context);
  const to = ownPath(form["to"]) ?? "/";
  const { token, readToken, sessions, guesses } = access;
  if (!token) return context.redirect(to, 303);
  const peer = peerOf(getConnInfo(context).remote.address);
  guesses.assertAllowed(peer);
  const tokens = await readTokens({ token, readToken });
  const given = typeof form["token"] === "string" ? form["token"].trim() : "";
  const allowed = tokenAccess(given, { act: tokens.act.trim(), read: tokens.read?.trim() });
  if (allowed === undefined) {
    guesses.failed(peer);
    return context.html(pageDocument({ title: "Log in", assets, body: loginPage({ to, wrong: true }) }), 401);
  }
  const cookie = await sessions.begin(allowed === "act" ? tokens.act : (tokens.read ?? tokens.act));
  setCookie(context, SESSION_COOKIE, cookie, {
    httpOnly: true,
    sameSite: "Strict",
    path: "/",
    maxAge: SESSION_S,
    // the browser knows the public URL, whatever proxies are in between
    secure: context.req.header("origin")?.startsWith("https:") ?? false,
  });
  return context.redirect(to, 303);
}

/** The cookie is always deleted. If the state store cannot record the end of the session, the answer says so. */
export async function logout(context: Context<WebEnv>, { access }: SessionOptions): Promise<Response> {
  checkOrigin(context);
  const cookie = getCookie(context, SESSION_COOKIE);
  deleteCookie(context, SESSION_COOKIE, { path: "/" });
  const { token, readToken, sessions } = access;
  if (token && cookie !== undefined) await sessions.end(cookie, await readTokens({ token, readToken }));
  return context.redirect("/", 303);
}
