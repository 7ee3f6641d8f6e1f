import { createHmac } from "node:crypto";

import type { Context, Hono } from "hono";

import type { DaemonView } from "../../daemon/view/view.ts";
import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { parseStrictJson } from "../../oci/json.ts";
import { bearerOf, sameSecret, type Secret } from "../access.ts";
import type { WebEnv } from "../app.ts";
import { limitedBody } from "../body.ts";
import { HOOK_SENDERS, type HookSender, type Pushed, readHook } from "./payload.ts";

export type HookOptions = {
  readonly view: DaemonView;
  readonly log: Log;
  readonly secret: Secret | undefined;
};

const BODY_MAX_BYTES = 256 * 1024;
const BODY_MAX_DEPTH = 32;

/** Those that can send no header of ours: the secret is the end of the path. */
const SECRET_IN_PATH: readonly HookSender[] = ["dockerhub", "quay"];

const BODY_CODES = {
  syntax: "HOOK_BODY",
  depth: "HOOK_BODY",
  duplicate: "HOOK_BODY",
  encoding: "HOOK_BODY",
} as const;

/**
 * Webhooks: somebody pushed, look now. Nothing of the body is believed but the name of a repository, and that only chooses
 * among the mirrors that are configured.
 *
 * Every request with the secret and a readable body is answered alike, so that nobody learns what is mirrored.
 */
export function hookRoutes(app: Hono<WebEnv>, options: HookOptions): void {
  const take = hookTaker(options);
  const limited = limitedBody(BODY_MAX_BYTES);
  for (const sender of HOOK_SENDERS) {
    app.post(`/hooks/${sender}`, limited, (context) => take(context, sender));
    if (SECRET_IN_PATH.includes(sender))
      app.post(`/hooks/${sender}/:secret`, limited, (context) => take(context, sender));
  }
}

function hookTaker({ view, log, secret }: HookOptions) {
  const rateLimit = bucket({ burst: 60, perSecond: 2 });
  const told = recent(1_000);
  return async (context: Context<WebEnv>, sender: HookSender): Promise<Response> => {
    if (!secret)
      throw new TagferryError("WEB_NOT_FOUND", "webhooks are off", {
        next: "Set daemon.webhooks.secretFile.",
      });
    const body = new Uint8Array(await context.req.arrayBuffer());
    if (!isKnown(context, { sender, body, secret: await secret() }))
      throw new TagferryError("HOOK_SECRET", "the webhook's secret is missing or wrong");
    if (!rateLimit(Date.now())) throw new TagferryError("WEB_BUSY", "too many webhooks");
    for (const pushed of readHook(sender, {
      event: context.req.header("x-github-event"),
      body: jsonOf(context, body),
    }))
      if (!told.has(pushed)) await hint(pushed, sender);
    return context.json({ accepted: true }, 202);
  };

  async function hint(pushed: Pushed, sender: HookSender): Promise<void> {
    const mirrors = await view.pushNotice(pushed);
    told.add(pushed); // not before: what could not be queued is sent again
    log.info(
      { audit: "webhook", sender, repository: pushed.repository, mirrors },
      `${sender} tells of a push`,
    );
  }
}

function jsonOf(context: Context, body: Uint8Array): ReturnType<typeof parseStrictJson> {
  const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (!/^application\/(?:[\w.-]+\+)?json$/.test(type))
    throw new TagferryError("HOOK_BODY", "the body's Content-Type is not JSON");
  return parseStrictJson(body, { maxDepth: BODY_MAX_DEPTH, codes: BODY_CODES, subject: "the webhook" });
}

type Claim = { readonly sender: HookSender; readonly body: Uint8Array; readonly secret: string };

/** Whether the sender knows the secret, in any of the ways senders can say so. */
function isKnown(context: Context, { sender, body, secret }: Claim): boolean {
  if (sender === "github") {
    const signature = context.req.header("x-hub-signature-256") ?? "";
    return sameSecret(signature, `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`);
  }
  const authorization = context.req.header("authorization");
  const claims = [
    context.req.param("secret"),
    authorization, // Harbor sends its "auth header" as it is
    bearerOf(authorization),
    basicPassword(authorization),
  ];
  return claims.map((claim) => claim !== undefined && sameSecret(claim, secret)).includes(true);
}

function basicPassword(header: string | undefined): string | undefined {
  const [, coded] = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? "") ?? [];
  if (coded === undefined) return undefined;
  const text = Buffer.from(coded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? undefined : text.slice(colon + 1);
}

/** Whether one more may pass, at this time in ms. */
function bucket({ burst, perSecond }: { readonly burst: number; readonly perSecond: number }) {
  let tokens = burst;
  let last = 0;
  return (now: number): boolean => {
    tokens = Math.min(burst, tokens + (Math.max(0, now - last) / 1000) * perSecond);
    last = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}

/** Pushes told lately: a delivery that is sent again says the same time. */
function recent(size: number) {
  const known = new Set<string>();
  return {
    has: (pushed: Pushed): boolean => known.has(keyOf(pushed) ?? ""),
    add(pushed: Pushed): void {
      const key = keyOf(pushed);
      if (key === undefined) return;
      known.add(key);
      for (const oldest of known) {
        if (known.size <= size) return;
        known.delete(oldest);
      }
    },
  };
}

/** Undefined without a time: then two pushes may well look alike. */
function keyOf({ repository, tag, at }: Pushed): string | undefined {
  return at === undefined ? undefined : JSON.stringify([repository, tag, at]);
}
