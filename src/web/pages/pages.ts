import type { Context, Hono, MiddlewareHandler } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";

import type { TagRecord } from "../../daemon/records/record-types.ts";
import type { DaemonView, MirrorState, MirrorStatus } from "../../daemon/view/view.ts";
import { failureOf, TagferryError } from "../../errors/error.ts";
import { checkOrigin, newSession, sameSecret, type Secret, SESSION_COOKIE, SESSION_S } from "../access.ts";
import { answer, answerFailure, statusOf, toldOf } from "../answer.ts";
import { act, ACTIONS, unknownMirror } from "../api/act.ts";
import { numberIn } from "../api/api.ts";
import type { WebEnv } from "../app.ts";
import type { Assets } from "../assets.ts";
import { formOf, limitedBody } from "../body.ts";
import { MIRROR_STATES } from "../metrics.ts";
import { failurePage, loginPage } from "./login.ts";
import { mirrorPage, sortedTags } from "./mirror.ts";
import { overviewPage } from "./overview.ts";
import { hrefOf, layout } from "./parts.ts";

export type PageOptions = {
  readonly view: DaemonView;
  readonly token: Secret | undefined;
  readonly assets: Assets;
  /** Judges who may read and act. */
  readonly guard: MiddlewareHandler<WebEnv>;
};

const MIRRORS_A_PAGE = 100;
const TAGS_A_PAGE = 200;
const FORM_MAX_BYTES = 8 * 1024;

/** The page, for people. Readable without a script; its buttons are forms. */
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
  app.post("/logout", (context) => {
    checkOrigin(context);
    deleteCookie(context, SESSION_COOKIE, { path: "/" });
    return context.redirect("/", 303);
  });
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
  const { page, pages, shown } = pageOf(context, chosen, MIRRORS_A_PAGE);
  const body = overviewPage({
    health,
    ...found,
    state,
    shownMirrors: shown,
    failed: await failedTags(view, shown),
    paging: { page, pages, href: (to) => `/?${state === undefined ? "" : `state=${state}&`}page=${to}` },
  });
  const session = context.get("caller").kind === "session";
  return context.html(layout({ title: titleOf(chosen), assets, health, session, live: true, body }));
}

async function mirror(context: Context<WebEnv>, { view, assets }: PageOptions): Promise<Response> {
  const name = context.req.param("name") ?? "";
  const [health, detail] = await Promise.all([view.health(), view.mirror(name)]);
  if (!detail) throw unknownMirror(name);
  const { page, pages, shown } = pageOf(context, sortedTags(detail.tags), TAGS_A_PAGE);
  const body = mirrorPage({
    health,
    detail,
    tags: shown,
    paging: { page, pages, href: (to) => `${hrefOf(name)}?page=${to}` },
  });
  const session = context.get("caller").kind === "session";
  return context.html(layout({ title: name, assets, health, session, live: true, body }));
}

function titleOf(mirrors: readonly MirrorStatus[]): string {
  const troubled = mirrors.filter(({ state }) => state === "failing" || state === "quarantined").length;
  return troubled > 0 ? `(${troubled}) Mirrors` : "Mirrors";
}

const DETAILS_MAX = 20;

/** What failed stands on the first page too, for the first mirrors that have something. */
async function failedTags(
  view: DaemonView,
  mirrors: readonly MirrorStatus[],
): Promise<ReadonlyMap<string, readonly TagRecord[]>> {
  const troubled = mirrors.filter((one) => one.failedTags > 0).slice(0, DETAILS_MAX);
  const details = await Promise.all(troubled.map(({ name }) => view.mirror(name).catch(() => undefined)));
  return new Map(
    details.flatMap((detail) =>
      detail ? [[detail.mirror.name, detail.tags.filter(({ failure }) => failure)] as const] : [],
    ),
  );
}

async function login(context: Context<WebEnv>, { token, assets }: PageOptions): Promise<Response> {
  checkOrigin(context);
  const form = await formOf(context);
  const to = ownPath(form["to"]) ?? "/";
  if (!token) return context.redirect(to, 303);
  const expected = await token();
  if (typeof form["token"] !== "string" || !sameSecret(form["token"].trim(), expected.trim()))
    return context.html(layout({ title: "Log in", assets, body: loginPage({ to, wrong: true }) }), 401);
  setCookie(context, SESSION_COOKIE, newSession(expected, Date.now()), {
    httpOnly: true,
    sameSite: "Strict",
    path: "/",
    maxAge: SESSION_S,
    // the browser says how it sees us, whatever proxies are in between
    secure: context.req.header("origin")?.startsWith("https:") ?? false,
  });
  return context.redirect(to, 303);
}

/** A failure as its reader can read it: a page for a browser, JSON for everybody else. */
export function failureAnswer(
  context: Context,
  error: TagferryError,
  assets: Assets,
): Response | Promise<Response> {
  const { path } = context.req;
  if (!wantsHtml(context) || path.startsWith("/api/") || path.startsWith("/hooks/"))
    return answerFailure(context, error);
  const status = statusOf(error.code);
  if (error.code === "WEB_UNAUTHORIZED")
    return context.html(
      layout({ title: "Log in", assets, body: loginPage({ to: ownPath(path) ?? "/" }) }),
      status,
    );
  return context.html(
    layout({
      title: status === 404 ? "Not found" : "That did not work",
      assets,
      body: failurePage(toldOf(error)),
    }),
    status,
  );
}

function wantsHtml(context: Context): boolean {
  return context.req.header("accept")?.includes("text/html") ?? false;
}

/** A path of ours that one may be sent to; nothing that a browser takes for another host. */
function ownPath(value: unknown): string | undefined {
  return typeof value === "string" && /^\/(?:mirrors\/[\w.~%!*'()-]+)?$/.test(value) ? value : undefined;
}

/** @throws {TagferryError} WEB_REQUEST */
function stateIn(context: Context): MirrorState | undefined {
  const text = context.req.query("state");
  const state = MIRROR_STATES.find((known) => known === text);
  if (text !== undefined && state === undefined)
    throw new TagferryError("WEB_REQUEST", `state is none of ${MIRROR_STATES.join(", ")}`);
  return state;
}

type Page<Item> = { readonly page: number; readonly pages: number; readonly shown: readonly Item[] };

function pageOf<Item>(context: Context, all: readonly Item[], size: number): Page<Item> {
  const pages = Math.max(1, Math.ceil(all.length / size));
  const page = numberIn(context, "page", { from: 1, to: pages, otherwise: 1 });
  return { page, pages, shown: all.slice((page - 1) * size, page * size) };
}
