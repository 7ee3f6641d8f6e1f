import { Hono } from "hono";

import type { DaemonView } from "../daemon/view/view.ts";
import type { WebEnv } from "./env.ts";

type Readiness = { readonly ready: boolean; readonly reasons: readonly string[] };

/** The kubelet waits 5 s. */
const ANSWER_WITHIN_MS = 3_000;

/** The app for `daemon.healthListen`: probes only. */
export function healthApp(view: DaemonView): Hono<WebEnv> {
  const app = new Hono<WebEnv>();
  app.use(async (context, next) => {
    await next();
    context.res.headers.set("cache-control", "no-store");
  });
  healthRoutes(app, view);
  return app;
}

/**
 * Needs no token, because the kubelet sends none. `/livez`: this process answers. `/readyz`: whether it accepts work,
 * and if not, why.
 */
export function healthRoutes(app: Hono<WebEnv>, view: DaemonView): void {
  const readiness = readinessOf(view);
  app.get("/livez", (context) => context.json({ live: true }));
  app.get("/readyz", async (context) => {
    const { ready, reasons } = await readiness();
    return context.json({ ready, reasons }, ready ? 200 : 503);
  });
}

/** Anyone may call this, so simultaneous requests share one question to the daemon, and the wait is limited. */
function readinessOf(view: DaemonView): () => Promise<Readiness> {
  let asking: Promise<Readiness> | undefined;
  return () => {
    asking ??= within(ANSWER_WITHIN_MS, ask(view)).finally(() => (asking = undefined));
    return asking;
  };
}

async function ask(view: DaemonView): Promise<Readiness> {
  try {
    return await view.health();
  } catch {
    return { ready: false, reasons: ["the state of the daemon cannot be read"] };
  }
}

async function within(timeoutMs: number, answer: Promise<Readiness>): Promise<Readiness> {
  const { promise: late, resolve } = Promise.withResolvers<Readiness>();
  const timer = setTimeout(
    () => resolve({ ready: false, reasons: ["the state of the daemon is not available"] }),
    timeoutMs,
  );
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
