import type { Context, Hono, MiddlewareHandler } from "hono";

import type { Run } from "../../daemon/records/record-types.ts";
import type { DaemonView, Health, MirrorStatus } from "../../daemon/view/view.ts";
import { failureOf, TagferryError } from "../../errors/error.ts";
import type { AccessOptions } from "../access/caller.ts";
import { answer } from "../answer.ts";
import { act, actOnMany, ACTIONS, BULK_ACTIONS, unknownMirror } from "../api/act.ts";
import type { Assets } from "../assets.ts";
import { formOf, limitedBody, namesIn } from "../body.ts";
import type { WebEnv } from "../env.ts";
import { numberIn } from "../query.ts";
import { ownPath, wantsHtml } from "./answers.ts";
import { mirrorPage, type TagSearch } from "./mirror.ts";
import { isIn, readQuery } from "./overview-query.ts";
import { overviewPage } from "./overview.ts";
import { pageDocument } from "./parts/document.ts";
import { hrefOf, type Html } from "./parts/parts.ts";
import { hrefOfRun, runPage } from "./runs.ts";
import { login, logout } from "./session.ts";
import { fittingTags, sortedTags } from "./tags.ts";

export type PageOptions = {
  readonly view: DaemonView;
  readonly access: AccessOptions;
  readonly assets: Assets;
  /** Checks who may read and act. */
  readonly guard: MiddlewareHandler<WebEnv>;
};

const TAGS_A_PAGE = 200;
const FORM_MAX_BYTES = 8 * 1024;
/** The names of all mirrors of a page. */
const BULK_MAX_BYTES = 256 * 1024;
const SEARCH_MAX = 200;

/** The page for people. It works without scripts; its buttons are forms. */
export function pageRoutes(app: Hono<WebEnv>, options: PageOptions): void {
  const { view, guard } = options;
  app.get("/", guard, (context) => overview(context, options));
  app.get("/mirrors/:name", guard, (context) => mirror(context, options));
  app.get("/mirrors/:name/runs/:run", guard, (context) => run(context, options));
  for (const action of ACTIONS)
    app.post(`/mirrors/:name/${action}`, guard, limitedBody(BULK_MAX_BYTES), async (context) => {
      const name = context.req.param("name");
      const result = await act(view, action, { name, by: context.get("caller").by });
      if (!wantsHtml(context)) return answer(context, { mirror: name, result });
      const { back } = await formOf(context);
      return context.redirect(ownPath(back) ?? hrefOf(name), 303);
    });
  for (const action of BULK_ACTIONS)
    app.post(`/bulk/${action}`, guard, limitedBody(BULK_MAX_BYTES), async (context) => {
      const names = await namesIn(context, "mirror");
      const results = await actOnMany(view, action, { names, by: context.get("caller").by });
      if (!wantsHtml(context)) return answer(context, { results });
      const { back } = await formOf(context);
      return context.redirect(ownPath(back) ?? "/", 303);
    });
  app.post("/login", limitedBody(FORM_MAX_BYTES), (context) => login(context, options));
  app.post("/logout", (context) => logout(context, options));
}

async function overview(context: Context<WebEnv>, { view, assets }: PageOptions): Promise<Response> {
  const query = readQuery(context);
  const [health, day, found] = await Promise.all([
    view.health(),
    view.day().catch(() => undefined), // the page says elsewhere that Redis is away
    view.mirrors().then(
      (mirrors) => ({ mirrors }),
      (error: unknown) => ({ failure: failureOf(error), mirrors: undefined }),
    ),
  ]);
  const body = overviewPage({ health, mayAct: mayAct(context), ...found, query, day });
  return livePage(context, { title: titleOf(found.mirrors ?? []), assets, health, body });
}

async function mirror(context: Context<WebEnv>, { view, assets }: PageOptions): Promise<Response> {
  const name = context.req.param("name") ?? "";
  const [health, detail] = await Promise.all([view.health(), view.mirror(name)]);
  if (!detail) throw unknownMirror(name);
  const search = tagSearch(context);
  const found = sortedTags(fittingTags(detail.tags, search));
  const { page, pages, items } = pageOf(context, found, TAGS_A_PAGE);
  const fields = [
    ...(search.q === "" ? [] : [`q=${encodeURIComponent(search.q)}`]),
    ...(search.only === undefined ? [] : [`only=${search.only}`]),
  ];
  const body = mirrorPage({
    health,
    detail,
    mayAct: mayAct(context),
    tags: items,
    found: found.length,
    search,
    paging: { page, pages, href: (to) => `${hrefOf(name)}?${[...fields, `page=${to}`].join("&")}#tags` },
  });
  return livePage(context, { title: name, assets, health, body });
}

function tagSearch(context: Context): TagSearch {
  return {
    q: (context.req.query("q") ?? "").trim().slice(0, SEARCH_MAX),
    only: context.req.query("only") === "failed" ? "failed" : undefined,
  };
}

async function run(context: Context<WebEnv>, { view, assets }: PageOptions): Promise<Response> {
  const name = context.req.param("name") ?? "";
  const [health, detail] = await Promise.all([view.health(), view.mirror(name)]);
  if (!detail) throw unknownMirror(name);
  const found = detail.runs.find(({ id }) => id === context.req.param("run"));
  if (!found) throw new TagferryError("WEB_NOT_FOUND", `this run of ${name} is no longer known`);
  const { page, pages, items } = pageOf(context, troubleFirst(found), TAGS_A_PAGE);
  const paging = { page, pages, href: (to: number) => `${hrefOfRun(found)}?page=${to}` };
  const body = runPage({ health, mirror: detail.mirror, run: found, outcomes: items, paging });
  return livePage(context, { title: `Run of ${name}`, assets, health, body });
}

const OUTCOME_ORDER = ["failed", "refused", "copied", "imported", "pushed", "pruned", "missing", "unchanged"];

function troubleFirst({ outcomes }: Run): Run["outcomes"] {
  return outcomes.toSorted(
    (one, other) => OUTCOME_ORDER.indexOf(one.kind) - OUTCOME_ORDER.indexOf(other.kind),
  );
}

function mayAct(context: Context<WebEnv>): boolean {
  return context.get("caller").access === "act";
}

type LivePage = {
  readonly title: string;
  readonly assets: Assets;
  readonly health: Health;
  readonly body: Html;
};

function livePage(context: Context<WebEnv>, page: LivePage): Response | Promise<Response> {
  const session = context.get("caller").kind === "session";
  return context.html(pageDocument({ ...page, session, live: true }));
}

function titleOf(mirrors: readonly MirrorStatus[]): string {
  const troubled = mirrors.filter((one) => isIn(one, "failing") || isIn(one, "quarantined")).length;
  return troubled > 0 ? `(${troubled}) Mirrors` : "Mirrors";
}

type Page<Item> = { readonly page: number; readonly pages: number; readonly items: readonly Item[] };

/** @throws {TagferryError} WEB_REQUEST */
function pageOf<Item>(context: Context, all: readonly Item[], size: number): Page<Item> {
  const pages = Math.max(1, Math.ceil(all.length / size));
  const page = Math.min(numberIn(context, "page", { from: 1, to: 1_000_000, otherwise: 1 }), pages);
  return { page, pages, items: all.slice((page - 1) * size, page * size) };
}
