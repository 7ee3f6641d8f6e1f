import type { Context } from "hono";

import type { TagferryError } from "../../errors/error.ts";
import { answerFailure, httpStatusOf, publicFailure } from "../answer.ts";
import type { Assets } from "../assets.ts";
import { failurePage, loginPage } from "./login.ts";
import { pageDocument } from "./parts/document.ts";

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

export function wantsHtml(context: Context): boolean {
  return context.req.header("accept")?.includes("text/html") ?? false;
}

/** A path on this server that a redirect may use. Refuses everything that a browser would read as another host. */
export function ownPath(value: unknown): string | undefined {
  return typeof value === "string" && OWN_PATH.test(value) ? value : undefined;
}

const OWN_PATH = /^\/(?:mirrors\/[\w.~%!*'()-]+|\?[\w.~%!*'()=&+-]*)?$/;
