import { getConnInfo } from "@hono/node-server/conninfo";
import type { Context, Hono, MiddlewareHandler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";

import type { DaemonView, MirrorState, MirrorStatus } from "../../daemon/view/view.ts";
import { failureOf, TagferryError } from "../../errors/error.ts";
import { type AccessOptions, checkOrigin, readTokens, tokenAccess } from "../access/caller.ts";
import { peerOf } from "../access/peer.ts";
import { SESSION_COOKIE, SESSION_S } from "../access/sessions.ts";
import { answer, answerFailure, httpStatusOf, publicFailure } from "../answer.ts";
import { act, ACTIONS, unknownMirror } from "../api/act.ts";
import { numberIn } from "../api/api.ts";
import type { Assets } from "../assets.ts";
import { formOf, limitedBody } from "../body.ts";
import type { WebEnv } from "../env.ts";
import { MIRROR_STATES } from "../metrics.ts";
import { failurePage, loginPage } from "./login.ts";
import { mirrorPage, sortedTags } from "./mirror.ts";
import { type FailedTags, overviewPage } from "./overview.ts";
import { hrefOf, pageDocument } from "./parts.ts";

export type PageOptions = {
  readonly view: DaemonView;
  readonly access: AccessOptions;
  readonly assets: Assets;
  /** Checks who may read and act. */
  readonly guard: MiddlewareHandler<WebEnv>;
};

const MIRRORS_A_PAGE = 100;
const TAGS_A_PAGE = 200;
const FORM_MAX_BYTES = 8 * 1024;

/** The page for people. It works without scripts; its buttons are forms. */
export function pageRoutes(app: Hono<WebEnv>, options: PageOptions): void {
  const { view, guard } = options;
  app.get("/", guard, (context) => overview(context, options));
  app.get("/mirrors/:name", guard, (context) => mirror(context, options));
  for (const action of ACTIONS)
    app.post(`/mirrors/:name/${action}`, guard, limitedBody(FORM_MAX_BYTES), async (context) => {
      const name = context.req.param("name");
      const result = await act(view, action, { name, by: context.get("caller").by });
      if (!wantsHtml(context)) return answer(context, { mirror: name, result });
      const { back } = await formOf(context);
      return context.redirect(ownPath(back) ?? hrefOf(name), 303);
    });
  app.post("/login", limitedBody(FORM_MAX_BYTES), (context) => login(context, options));
  app.post("/logout", (context) => logout(context, options));
}

async function overview(context: Context<WebEnv>, { view, assets }: PageOptions): Promise<Response> {
  const state = stateIn(context);
  const [health, found] = await Promise.all([
    view.health(),
    view.mirrors().then(
      (mirrors) => ({ mirrors }),
      (error: unknown) => ({ failure: failureOf(error), mirrors: undefined }),
    ),
  ]);
  const chosen = (found.mirrors ?? []).filter((one) => state === undefined || one.state === state);
  const { page, pages, items } = pageOf(context, chosen, MIRRORS_A_PAGE);
  const { kind, access: allowed } = context.get("caller");
  const body = overviewPage({
    health,
    mayAct: allowed === "act",
    ...found,
    state,
    shownMirrors: items,
    failed: await failedTags(view, items),
    paging: { page, pages, href: (to) => `/?${state === undefined ? "" : `state=${state}&`}page=${to}` },
  });
  const session = kind === "session";
  return context.html(pageDocument({ title: titleOf(chosen), assets, health, session, live: true, body }));
}

async function mirror(context: Context<WebEnv>, { view, assets }: PageOptions): Promise<Response> {
  const name = context.req.param("name") ?? "";
  const [health, detail] = await Promise.all([view.health(), view.mirror(name)]);
  if (!detail) throw unknownMirror(name);
  const { page, pages, items } = pageOf(context, sortedTags(detail.tags), TAGS_A_PAGE);
  const { kind, access: allowed } = context.get("caller");
  const body = mirrorPage({
    health,
    detail,
    mayAct: allowed === "act",
    tags: items,
    paging: { page, pages, href: (to) => `${hrefOf(name)}?page=${to}` },
  });
  const session = kind === "session";
  return context.html(pageDocument({ title: name, assets, health, session, live: true, body }));
}

function titleOf(mirrors: readonly MirrorStatus[]): string {
  const troubled = mirrors.filter(({ state }) => state === "failing" || state === "quarantined").length;
  return troubled > 0 ? `(${troubled}) Mirrors` : "Mirrors";
}

const DETAILS_MAX = 20;

/** The failed tags for the overview, for the first mirrors that have any. */
async function failedTags(
  view: DaemonView,
  mirrors: readonly MirrorStatus[],
): Promise<ReadonlyMap<string, FailedTags>> {
  const troubled = mirrors.filter((one) => one.failedTags > 0).slice(0, DETAILS_MAX);
  const read = async ({ name }: MirrorStatus): Promise<readonly [string, FailedTags]> => {
    try {
      const detail = await view.mirror(name);
      return [name, (detail?.tags ?? []).filter(({ failure }) => failure)];
    } catch {
      return [name, "unreadable"];
    }
  };
  return new Map(await Promise.all(troubled.map(read)));
}

/** Wrong tokens are limited, per peer and in total. The duration of an answer reveals nothing about the token. */
async function login(context: Context<WebEnv>, { access, assets }: PageOptions): Promise<Response> {
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
async function logout(context: Context<WebEnv>, { access }: PageOptions): Promise<Response> {
  checkOrigin(context);
  const cookie = getCookie(context, SESSION_COOKIE);
  deleteCookie(context, SESSION_COOKIE, { path: "/" });
  const { token, readToken, sessions } = access;
  if (token && cookie !== undefined) await sessions.end(cookie, await readTokens({ token, readToken }));
  return context.redirect("/", 303);
}

/** A failure as a page for a browser, and as JSON for other clients. */
export function failureAnswer(
  context: Context,
  error: TagferryError,
  assets: Assets,
): Response | Promise<Response> {
  const { path } = context.req;
  if (!wantsHtml(context) || path.startsWith("/api/") || path.startsWith("/hooks/"))
    return answerFailure(context, error);
  const status = httpStatusOf(error.code);
  if (error.code === "WEB_UNAUTHORIZED")
    return context.html(
      pageDocument({ title: "Log in", assets, body: loginPage({ to: ownPath(path) ?? "/" }) }),
      status,
    );
  return context.html(
    pageDocument({
      title: status === 404 ? "Not found" : "This did not work",
      assets,
      body: failurePage(publicFailure(error)),
    }),
    status,
  );
}

function wantsHtml(context: Context): boolean {
  return context.req.header("accept")?.includes("text/html") ?? false;
}

/** A path on this server that a redirect may use. Refuses everything that a browser would read as another host. */
function ownPath(value: unknown): string | undefined {
  return typeof value === "string" && /^\/(?:mirrors\/[\w.~%!*'()-]+)?$/.test(value) ? value : undefined;
}

/** @throws {TagferryError} WEB_REQUEST */
function stateIn(context: Context): MirrorState | undefined {
  const text = context.req.query("state");
  const state = MIRROR_STATES.find((known) => known === text);
  if (text !== undefined && state === undefined)
    throw new TagferryError("WEB_REQUEST", `state is not one of ${MIRROR_STATES.join(", ")}`);
  return state;
}

type Page<Item> = { readonly page: number; readonly pages: number; readonly items: readonly Item[] };

function pageOf<Item>(context: Context, all: readonly Item[], size: number): Page<Item> {
  const pages = Math.max(1, Math.ceil(all.length / size));
  const page = numberIn(context, "page", { from: 1, to: pages, otherwise: 1 });
  return { page, pages, items: all.slice((page - 1) * size, page * size) };
}
