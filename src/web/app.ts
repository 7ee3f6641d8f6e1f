import type { HttpBindings } from "@hono/node-server";
import { Hono, type MiddlewareHandler } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";

import type { DaemonView } from "../daemon/view/view.ts";
import { asTagferryError, TagferryError } from "../errors/error.ts";
import type { Log } from "../lib/log.ts";
import { type Caller, callerOf, checkOrigin, type Secret } from "./access.ts";
import { answerFailure, statusOf } from "./answer.ts";
import { apiRoutes } from "./api/api.ts";
import { eventRoutes } from "./api/events.ts";
import { assetRoutes, openAssets } from "./assets.ts";
import { securityHeaders } from "./headers.ts";
import { healthRoutes } from "./health.ts";
import type { Metrics } from "./metrics.ts";
import { failureAnswer, pageRoutes } from "./pages/pages.ts";
import { hookRoutes } from "./webhooks/webhooks.ts";

export type WebEnv = { Bindings: HttpBindings; Variables: { caller: Caller } };

export type WebParts = {
  readonly view: DaemonView;
  readonly metrics: Metrics;
  readonly token: Secret | undefined;
  readonly webhookSecret: Secret | undefined;
  readonly log: Log;
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
  readonly heartbeatMs: number;
  /** Only what a probe and Prometheus ask for. */
  readonly only: "health" | undefined;
};

/** Every route there is. Open are health, metrics (as Prometheus expects), assets and, each with its own secret, webhooks. */
export function webApp(parts: WebParts): Hono<WebEnv> {
  const { view, metrics, token, webhookSecret, log, only } = parts;
  const assets = openAssets();
  const app = new Hono<WebEnv>();
  app.use(securityHeaders);
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (context, methods) => {
        context.header("Allow", methods.join(", "));
        return answerFailure(
          context,
          new TagferryError("WEB_METHOD", `${context.req.method} is not possible here`),
        );
      },
    }),
  );
  app.onError((thrown, context) => {
    const error = asTagferryError(thrown);
    const { code } = error;
    if (statusOf(code) >= 500) log.error({ err: error }, "a request failed");
    if (code === "WEB_UNAUTHORIZED" || code === "HOOK_SECRET") context.header("WWW-Authenticate", "Bearer");
    if (code === "WEB_BUSY") context.header("Retry-After", "30");
    return failureAnswer(context, error, assets);
  });
  app.notFound((context) =>
    failureAnswer(context, new TagferryError("WEB_NOT_FOUND", "there is nothing here"), assets),
  );

  const guard: MiddlewareHandler<WebEnv> = async (context, next) => {
    const caller = await callerOf(context, token);
    if (!["GET", "HEAD"].includes(context.req.method)) checkOrigin(context, caller);
    context.set("caller", caller);
    await next();
  };
  healthRoutes(app, view);
  app.get("/metrics", async (context) =>
    context.body(await metrics.text(), 200, { "content-type": metrics.contentType }),
  );
  if (only === "health") return app;
  assetRoutes(app, assets);
  hookRoutes(app, { view, log, secret: webhookSecret });
  pageRoutes(app, { view, token, assets, guard });
  app.use("/api/*", guard);
  apiRoutes(app, view);
  eventRoutes(app, parts);
  return app;
}
