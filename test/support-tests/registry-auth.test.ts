import { describe, expect, test } from "vitest";

import { ask, errorCode, type Reply } from "../support/ask.ts";
import type { AuthOptions } from "../support/registry/auth.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";

const USER = { username: "ferry", password: "correct-horse" };
const BASIC = `Basic ${Buffer.from(`${USER.username}:${USER.password}`).toString("base64")}`;
const WRONG = `Basic ${Buffer.from(`${USER.username}:wrong`).toString("base64")}`;

type Bearer = Omit<Extract<AuthOptions, { kind: "bearer" }>, "kind" | "username" | "password">;

function startBearer(options: Bearer = {}): Promise<TestRegistry> {
  return startRegistry({ auth: { kind: "bearer", ...USER, ...options } });
}

/** realm, service, scope and error of a challenge. */
function challengeOf({ headers }: Reply): Record<string, string> {
  const text = headers["www-authenticate"] ?? "";
  return Object.fromEntries(
    [...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [name, value]),
  );
}

/** What the token server answers for a scope. */
async function fetchToken(
  registry: TestRegistry,
  scope: string,
  authorization: string | undefined = BASIC,
): Promise<Reply> {
  const { realm = "" } = challengeOf(await ask("GET", `${registry.url}/v2/`));
  const url = `${realm}?service=registry.test&scope=${encodeURIComponent(scope)}`;
  return ask("GET", url, authorization === "" ? {} : { headers: { authorization } });
}

function parsed({ body }: Reply): Record<string, unknown> {
  return JSON.parse(body.toString("utf8")) as Record<string, unknown>;
}

async function bearer(registry: TestRegistry, scope: string): Promise<Record<string, string>> {
  return { authorization: `Bearer ${String(parsed(await fetchToken(registry, scope))["token"])}` };
}

describe("basic", () => {
  test.for([
    [undefined, 401],
    [WRONG, 401],
    [BASIC, 200],
  ] as const)("%s gets %s", async ([authorization, status]) => {
    await using registry = await startRegistry({ auth: { kind: "basic", ...USER } });
    const reply = await ask(
      "GET",
      `${registry.url}/v2/`,
      authorization ? { headers: { authorization } } : {},
    );
    expect(reply.status).toBe(status);
    expect(reply.headers["www-authenticate"]).toBe(status === 401 ? 'Basic realm="registry"' : undefined);
  });
});

describe("bearer", () => {
  test("names realm, service and the scope that is needed", async () => {
    await using registry = await startBearer();
    const pull = challengeOf(await ask("GET", `${registry.url}/v2/a/b/tags/list`));
    expect(pull).toMatchObject({ service: "registry.test", scope: "repository:a/b:pull" });
    expect(new URL(pull["realm"] ?? "").host).not.toBe(registry.host);
    const mount = await ask("POST", `${registry.url}/v2/a/b/blobs/uploads/?mount=sha256:x&from=c/d`);
    expect(challengeOf(mount)["scope"]).toBe("repository:a/b:pull,push repository:c/d:pull");
    expect(challengeOf(await ask("GET", `${registry.url}/v2/`))["scope"]).toBeUndefined();
  });

  test("lets in who brings a token for what is asked, and nothing else", async () => {
    await using registry = await startBearer();
    const headers = await bearer(registry, "repository:a/b:pull");
    expect((await ask("GET", `${registry.url}/v2/`, { headers })).status).toBe(200);
    expect((await ask("GET", `${registry.url}/v2/a/b/tags/list`, { headers })).status).toBe(404);
    const other = await ask("GET", `${registry.url}/v2/c/d/tags/list`, { headers });
    expect(other.status).toBe(401);
    expect(challengeOf(other)).toMatchObject({ error: "insufficient_scope", scope: "repository:c/d:pull" });
    const push = await ask("POST", `${registry.url}/v2/a/b/blobs/uploads/`, { headers });
    expect(challengeOf(push)).toMatchObject({ error: "insufficient_scope" });
  });

  test("gives several scopes in one token", async () => {
    await using registry = await startBearer();
    const headers = await bearer(registry, "repository:a/b:pull,push repository:c/d:pull");
    expect((await ask("POST", `${registry.url}/v2/a/b/blobs/uploads/`, { headers })).status).toBe(202);
    expect((await ask("GET", `${registry.url}/v2/c/d/tags/list`, { headers })).status).toBe(404);
  });

  test("answers 403 where it is that kind", async () => {
    await using registry = await startBearer({ insufficient: 403 });
    const headers = await bearer(registry, "repository:a/b:pull");
    const refused = await ask("GET", `${registry.url}/v2/c/d/tags/list`, { headers });
    expect({ status: refused.status, code: errorCode(refused) }).toEqual({ status: 403, code: "DENIED" });
  });

  test("refuses wrong credentials, and none unless anonymous pulls are allowed", async () => {
    await using closed = await startBearer();
    await using open = await startBearer({ anonymous: "pull" });
    const scope = "repository:a/b:pull,push";
    expect((await fetchToken(closed, scope, WRONG)).status).toBe(401);
    expect((await fetchToken(closed, scope, "")).status).toBe(401);
    const anonymous = await fetchToken(open, scope, "");
    const headers = { authorization: `Bearer ${String(parsed(anonymous)["token"])}` };
    expect((await ask("GET", `${open.url}/v2/a/b/tags/list`, { headers })).status).toBe(404);
    expect((await ask("POST", `${open.url}/v2/a/b/blobs/uploads/`, { headers })).status).toBe(401);
  });

  test("may grant less than was asked, without a word", async () => {
    await using registry = await startBearer({
      grant: (repository, actions) => (repository === "secret" ? [] : [...actions]),
    });
    const headers = await bearer(registry, "repository:secret:pull");
    expect((await ask("GET", `${registry.url}/v2/secret/tags/list`, { headers })).status).toBe(401);
  });

  test("takes no token after its uses, its life or its revocation", async () => {
    await using registry = await startBearer({ uses: 2 });
    const headers = await bearer(registry, "repository:a/b:pull");
    const get = (): Promise<Reply> => ask("GET", `${registry.url}/v2/`, { headers });
    expect([(await get()).status, (await get()).status]).toEqual([200, 200]);
    expect(challengeOf(await get())["error"]).toBe("invalid_token");

    await using brief = await startBearer({ lifetimeMs: -1 });
    const late = { headers: await bearer(brief, "repository:a/b:pull") };
    expect((await ask("GET", `${brief.url}/v2/`, late)).status).toBe(401);

    await using revoked = await startBearer();
    const held = { headers: await bearer(revoked, "repository:a/b:pull") };
    revoked.revokeTokens();
    expect((await ask("GET", `${revoked.url}/v2/`, held)).status).toBe(401);
  });

  test("writes the answer as it is told to", async () => {
    const issuedAt = "1970-01-01T00:00:00Z";
    await using registry = await startBearer({ fields: ["access_token"], expiresIn: "soon", issuedAt });
    const answer = parsed(await fetchToken(registry, "repository:a/b:pull"));
    expect(answer).toMatchObject({ expires_in: "soon", issued_at: issuedAt });
    expect(answer["access_token"]).toMatch(/^token-/);
    expect(answer["token"]).toBeUndefined();
    await using silent = await startBearer({ expiresIn: null });
    expect(parsed(await fetchToken(silent, "repository:a/b:pull"))).not.toHaveProperty("expires_in");
  });

  test("can stand on the registry's own origin", async () => {
    await using registry = await startBearer({ origin: "same" });
    const { realm = "" } = challengeOf(await ask("GET", `${registry.url}/v2/`));
    expect(realm).toBe(`${registry.url}/token`);
    const headers = await bearer(registry, "repository:a/b:pull");
    expect((await ask("GET", `${registry.url}/v2/`, { headers })).status).toBe(200);
    expect(registry.ledger.count({ kind: "token" })).toBe(1);
  });

  test("can name another realm, or challenge in another way", async () => {
    await using elsewhere = await startBearer({ realm: () => "http://169.254.169.254/token" });
    expect(challengeOf(await ask("GET", `${elsewhere.url}/v2/`))["realm"]).toBe(
      "http://169.254.169.254/token",
    );
    await using silent = await startBearer({ challenge: () => undefined });
    expect((await ask("GET", `${silent.url}/v2/`)).headers["www-authenticate"]).toBeUndefined();
    await using several = await startBearer({ challenge: (usual) => ["Negotiate", usual] });
    expect((await ask("GET", `${several.url}/v2/`)).headers["www-authenticate"]).toMatch(
      /^Negotiate, Bearer realm=/,
    );
  });

  test("takes Basic too where it is that kind", async () => {
    await using registry = await startBearer({ acceptBasic: true });
    expect((await ask("GET", `${registry.url}/v2/`, { headers: { authorization: BASIC } })).status).toBe(200);
    expect((await ask("GET", `${registry.url}/v2/`, { headers: { authorization: WRONG } })).status).toBe(401);
  });

  test("keeps token requests in the registry's ledger, by kind", async () => {
    await using registry = await startBearer();
    await bearer(registry, "repository:a/b:pull");
    expect(
      registry.ledger.find({ kind: "token" }).map(({ status, authorization }) => [status, authorization]),
    ).toEqual([[200, BASIC]]);
  });
});

/** Asks the token server by OAuth2's form. */
async function form(registry: TestRegistry, fields: Record<string, string>): Promise<Reply> {
  const { realm = "" } = challengeOf(await ask("GET", `${registry.url}/v2/`));
  return ask("POST", realm, {
    body: new URLSearchParams({ scope: "repository:a/b:pull", ...fields }).toString(),
  });
}

describe("OAuth2", () => {
  test("takes a password, gives a refresh token, takes it back", async () => {
    await using registry = await startBearer();
    const first = parsed(await form(registry, { grant_type: "password", access_type: "offline", ...USER }));
    const refresh = { grant_type: "refresh_token", refresh_token: String(first["refresh_token"]) };
    const second = parsed(await form(registry, refresh));
    const headers = { authorization: `Bearer ${String(second["token"])}` };
    expect((await ask("GET", `${registry.url}/v2/a/b/tags/list`, { headers })).status).toBe(404);
  });

  test("refuses a wrong password, and a refresh token it never gave", async () => {
    await using registry = await startBearer();
    expect((await form(registry, { grant_type: "password", ...USER, password: "wrong" })).status).toBe(401);
    expect((await form(registry, { grant_type: "refresh_token", refresh_token: "guess" })).status).toBe(401);
  });

  test("is unknown to servers of the old kind", async () => {
    await using registry = await startBearer({ post: false });
    expect((await form(registry, { grant_type: "password", ...USER })).status).toBe(405);
  });
});
