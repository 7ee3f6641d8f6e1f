import { createHmac } from "node:crypto";

import type { Context, Hono, MiddlewareHandler } from "hono";

import { HOOK_SENDERS, type HookSender } from "../../config/config.ts";
import type { DaemonView } from "../../daemon/view/view.ts";
import { TagferryError } from "../../errors/error.ts";
import type { Log } from "../../lib/log.ts";
import { parseStrictJson } from "../../oci/json.ts";
import { type Budget, openBudget } from "../access/budget.ts";
import { bearerOf } from "../access/caller.ts";
import { sameSecret, type Secret } from "../access/secret.ts";
import { limitedBody } from "../body.ts";
import type { WebEnv } from "../env.ts";
import { type Pushed, readHook } from "./payload.ts";

export type HookOptions = {
  readonly view: DaemonView;
  readonly log: Log;
  /** undefined: webhooks are disabled. */
  readonly secrets: HookSecrets | undefined;
};

/** The secret of each sender. A sender without a secret is disabled. */
export type HookSecrets = Readonly<Partial<Record<HookSender, Secret>>>;

const BODY_MAX_BYTES = 256 * 1024;
const BODY_MAX_DEPTH = 32;

/** These senders cannot send a custom header, so their secret is the end of the path. */
const SECRET_IN_PATH: readonly HookSender[] = ["dockerhub", "quay"];

const BODY_CODES = {
  syntax: "HOOK_BODY",
  depth: "HOOK_BODY",
  duplicate: "HOOK_BODY",
  encoding: "HOOK_BODY",
} as const;

/** The limit for each sender, so that one sender cannot use up the limit of others. */
const BUDGET = { burst: 60, perSecond: 2 };
const RECENT_MAX = 1_000;

type SenderState = { readonly budget: Budget; readonly recent: Recent };

/**
 * Webhooks: someone pushed, so check now. Only the name of a repository is used from the body, and only to choose among
 * the configured mirrors.
 *
 * The secret is checked before the body is read, except for GitHub, which signs the body. Every valid request gets the
 * same answer, so that nobody learns what is mirrored.
 */
export function hookRoutes(app: Hono<WebEnv>, options: HookOptions): void {
  const take = hookTaker(options);
  const limited = limitedBody(BODY_MAX_BYTES);
  for (const sender of HOOK_SENDERS) {
    const known: MiddlewareHandler<WebEnv> = async (context, next) => {
      const secret = secretOf(sender, options.secrets);
      if (sender !== "github") await checkSecret(context, secret);
      await next();
    };
    app.post(`/hooks/${sender}`, known, limited, (context) => take(context, sender));
    if (SECRET_IN_PATH.includes(sender))
      app.post(`/hooks/${sender}/:secret`, known, limited, (context) => take(context, sender));
  }
}

function hookTaker({ view, log, secrets }: HookOptions) {
  const senders = new Map<HookSender, SenderState>(
    HOOK_SENDERS.map((sender) => [sender, { budget: openBudget(BUDGET), recent: openRecent(RECENT_MAX) }]),
  );
  return async (context: Context<WebEnv>, sender: HookSender): Promise<Response> => {
    const body = new Uint8Array(await context.req.arrayBuffer());
    if (sender === "github") await checkSignature(context, body, secretOf(sender, secrets));
    const state = senders.get(sender);
    const event = context.req.header("x-github-event");
    for (const pushed of readHook(sender, { event, body: jsonOf(context, body) }))
      if (state && view.mirrorsReading(pushed.repository).length > 0) await notice(pushed, sender, state);
    return context.json({ accepted: true }, 202);
  };

  /** Only pushes that concern a mirror come here. They use the limit of their sender, even when they are sent again. */
  async function notice(pushed: Pushed, sender: HookSender, { budget, recent }: SenderState): Promise<void> {
    if (!budget.take(Date.now())) throw new TagferryError("WEB_BUSY", `too many webhooks of ${sender}`);
    if (recent.has(pushed)) return;
    const mirrors = await view.pushNotice(pushed);
    recent.add(pushed); // recorded only now: a push that could not be queued may be sent again
    log.info(
      { audit: "webhook", sender, repository: pushed.repository, mirrors },
      `${sender} reports a push`,
    );
  }
}

function secretOf(sender: HookSender, secrets: HookSecrets | undefined): Secret {
  const secret = secrets?.[sender];
  if (!secret)
    throw new TagferryError("WEB_NOT_FOUND", `webhooks of ${sender} are off`, {
      next: "Name the file with their secret in daemon.webhooks.",
    });
  return secret;
}

function jsonOf(context: Context, body: Uint8Array): ReturnType<typeof parseStrictJson> {
  const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (!/^application\/(?:[\w.-]+\+)?json$/.test(type))
    throw new TagferryError("HOOK_BODY", "the body's Content-Type is not JSON");
  return parseStrictJson(body, { maxDepth: BODY_MAX_DEPTH, codes: BODY_CODES, subject: "the webhook" });
}

/** GitHub signs the body. @throws {TagferryError} HOOK_SECRET */
async function checkSignature(context: Context, body: Uint8Array, secret: Secret): Promise<void> {
  const signature = context.req.header("x-hub-signature-256") ?? "";
  const expected = createHmac("sha256", await secret())
    .update(body)
    .digest("hex");
  if (!sameSecret(signature, `sha256=${expected}`)) throw unknownSender();
}

/** All other senders send the secret itself, in one of these ways. @throws {TagferryError} HOOK_SECRET */
async function checkSecret(context: Context, secret: Secret): Promise<void> {
  const expected = await secret();
  const authorization = context.req.header("authorization");
  const claims = [
    context.req.param("secret"),
    authorization, // Harbor sends its "auth header" unchanged
    bearerOf(authorization),
    basicPassword(authorization),
  ];
  const right = claims.map((claim) => claim !== undefined && sameSecret(claim, expected));
  if (!right.includes(true)) throw unknownSender();
}

function unknownSender(): TagferryError {
  return new TagferryError("HOOK_SECRET", "the webhook's secret is missing or wrong");
}

function basicPassword(header: string | undefined): string | undefined {
  const [, coded] = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? "") ?? [];
  if (coded === undefined) return undefined;
  const text = Buffer.from(coded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? undefined : text.slice(colon + 1);
}

type Recent = { has(pushed: Pushed): boolean; add(pushed: Pushed): void };

/** The last reported pushes. A delivery that is sent again has the same time. */
function openRecent(size: number): Recent {
  const known = new Set<string>();
  return {
    has: (pushed) => known.has(keyOf(pushed) ?? ""),
    add(pushed) {
      const key = keyOf(pushed);
      if (key === undefined) return;
      known.add(key);
      const [oldest] = known;
      if (known.size > size && oldest !== undefined) known.delete(oldest);
    },
  };
}

/** undefined without a time, because two pushes may then look the same. */
function keyOf({ repository, tag, at }: Pushed): string | undefined {
  return at === undefined ? undefined : JSON.stringify([repository, tag, at]);
}
