import type { Hono } from "hono";

import type { DaemonView } from "../daemon/view/view.ts";
import type { WebEnv } from "./app.ts";

/** For the kubelet, hence open: `/livez` says that this process answers, `/readyz` whether it takes work, and why not. */
export function healthRoutes(app: Hono<WebEnv>, view: DaemonView): void {
  app.get("/livez", (context) => context.json({ live: true }));
  app.get("/readyz", async (context) => {
    const { ready, reasons } = await readiness(view);
    return context.json({ ready, reasons }, ready ? 200 : 503);
  });
}

async function readiness(view: DaemonView): Promise<{ ready: boolean; reasons: readonly string[] }> {
  try {
    return await view.health();
  } catch {
    return { ready: false, reasons: ["its state cannot be told"] };
  }
}
