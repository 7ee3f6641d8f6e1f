import type { Hono } from "hono";

import type { DaemonView } from "../../daemon/view/view.ts";
import { answer } from "../answer.ts";
import type { WebEnv } from "../env.ts";
import { numberIn } from "../query.ts";
import { act, ACTIONS, unknownMirror } from "./act.ts";
import { openApi } from "./openapi.ts";

const RUNS_MAX = 200;

/** The JSON API. Access was checked before. */
export function apiRoutes(app: Hono<WebEnv>, view: DaemonView): void {
  app.get("/api/v1/mirrors", async (context) => answer(context, { mirrors: await view.mirrors() }));
  app.get("/api/v1/mirrors/:name", async (context) => {
    const name = context.req.param("name");
    const detail = await view.mirror(name);
    if (!detail) throw unknownMirror(name);
    return answer(context, detail);
  });
  for (const action of ACTIONS)
    app.post(`/api/v1/mirrors/:name/${action}`, async (context) => {
      const mirror = context.req.param("name");
      const result = await act(view, action, { name: mirror, by: context.get("caller").by });
      return answer(context, { mirror, result }, action === "sync" || action === "retry" ? 202 : 200);
    });
  app.get("/api/v1/runs", async (context) => {
    const limit = numberIn(context, "limit", { from: 1, to: RUNS_MAX, otherwise: 50 });
    const mirror = context.req.query("mirror");
    if (mirror !== undefined && !view.has(mirror)) throw unknownMirror(mirror);
    return answer(context, {
      runs: await view.runs({ limit, ...(mirror === undefined ? {} : { mirror }) }),
    });
  });
  app.get("/api/v1/health", async (context) => answer(context, await view.health()));
  app.get("/api/v1/openapi.json", (context) => context.json(openApi()));
}
