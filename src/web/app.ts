import { Hono, type MiddlewareHandler } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";

import type { DaemonView } from "../daemon/view/view.ts";
import { asTagferryError, TagferryError } from "../errors/error.ts";
import type { Log } from "../lib/log.ts";
import {
  type AccessOptions,
  callerOf,
  checkInternalHost,
  checkMetricsAccess,
  checkOrigin,
} from "./access/caller.ts";
import { answerFailure, httpStatusOf } from "./answer.ts";
import { apiRoutes } from "./api/api.ts";
import { eventRoutes } from "./api/events.ts";
import { assetRoutes, openAssets } from "./assets.ts";
import type { WebEnv } from "./env.ts";
import { securityHeaders } from "./headers.ts";
import { healthRoutes } from "./health.ts";
import type { Metrics } from "./metrics.ts";
import { failureAnswer } from "./pages/answers.ts";
import { pageRoutes } from "./pages/pages.ts";
import { type HookSecrets, hookRoutes } from "./webhooks/webhooks.ts";

export type WebParts = {
  readonly view: DaemonView;
  readonly metrics: Metrics;
  readonly access: AccessOptions;
  readonly webhooks: HookSecrets | undefined;
  readonly log: Log;
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
  readonly heartbeatMs: number;
  /** Only the routes for probes and Prometheus. */
  readonly only: "health" | undefined;
};

/** All routes. Without a token: health, assets, metrics inside the cluster, and webhooks (each with its own secret). */
export function webApp(parts: WebParts): Hono<WebEnv> {
  const { view, metrics, access, webhooks, log, only } = parts;
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
          new TagferryError("WEB_METHOD", `${context.req.method} is not allowed here`),
        );
      },
    }),
  );
  app.onError((thrown, context) => {
    const error = asTagferryError(thrown);
    const { code } = error;
    if (httpStatusOf(code) >= 500) log.error({ err: error }, "a request failed");
    if (code === "WEB_UNAUTHORIZED" || code === "HOOK_SECRET") context.header("WWW-Authenticate", "Bearer");
    if (code === "WEB_BUSY") context.header("Retry-After", "30");
    return failureAnswer(context, error, assets);
  });
  app.notFound((context) =>
    failureAnswer(context, new TagferryError("WEB_NOT_FOUND", "there is nothing at this path"), assets),
  );

  const guard: MiddlewareHandler<WebEnv> = async (context, next) => {
    const caller = await callerOf(context, access);
    if (!["GET", "HEAD"].includes(context.req.method)) {
      checkOrigin(context, caller);
      if (caller.access === "read")
        throw new TagferryError("WEB_READ_ONLY", "this login allows reading only");
    }
    context.set("caller", caller);
    await next();
  };
  healthRoutes(app, view);
  app.get("/metrics", async (context) => {
    if (only === "health") checkInternalHost(context);
    else await checkMetricsAccess(context, access);
    return context.body(await metrics.text(), 200, { "content-type": metrics.contentType });
  });
  if (only === "health") return app;
  assetRoutes(app, assets);
  hookRoutes(app, { view, log, secrets: webhooks });
  pageRoutes(app, { view, access, assets, guard });
  app.use("/api/*", guard);
  apiRoutes(app, view);
  eventRoutes(app, parts);
  return app;
}
