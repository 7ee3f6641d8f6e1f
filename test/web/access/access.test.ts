import { describe, expect, test } from "vitest";

import { ask, type Reply } from "../../support/ask.ts";
import { freshMirror } from "../../support/view.ts";
import { openTestWeb, TOKEN } from "../../support/web.ts";

const HTML = { accept: "text/html" };
const READING = [
  "/",
  "/mirrors/a",
  "/api/v1/mirrors",
  "/api/v1/mirrors/a",
  "/api/v1/runs",
  "/api/v1/events",
  "/api/v1/health",
  "/api/v1/openapi.json",
];
const ACTING = ["sync", "pause", "resume", "retry"].flatMap((action) => [
  `/api/v1/mirrors/a/${action}`,
  `/mirrors/a/${action}`,
]);

const codeOf = ({ body }: Reply): string => (JSON.parse(body.toString()) as { code: string }).code;

async function openGuarded() {
  const web = await openTestWeb({ token: async () => TOKEN });
  web.view.set(freshMirror("a"));
  return web;
}

/** Logs in as the page's form does; gives the cookie. */
async function logIn(url: string, token = TOKEN): Promise<Reply & { readonly cookie: string }> {
  const reply = await ask("POST", `${url}/login`, {
    headers: { origin: url, "content-type": "application/x-www-form-urlencoded", ...HTML },
    body: new URLSearchParams({ token, to: "/" }).toString(),
  });
  return { ...reply, cookie: reply.headers["set-cookie"]?.[0]?.split(";")[0] ?? "" };
}

describe("with a token", () => {
  test.for(READING)("GET %s needs it", async (path) => {
    await using web = await openGuarded();
    const bare = await ask("GET", `${web.url}${path}`);
    expect([bare.status, codeOf(bare)]).toEqual([401, "WEB_UNAUTHORIZED"]);
    expect(bare.headers["www-authenticate"]).toBe("Bearer");
    for (const wrong of [
      "Bearer",
      "Bearer nonsense",
      `Bearer ${TOKEN}x`,
      `bearer  ${TOKEN.toUpperCase()}`,
      `Basic ${btoa(`x:${TOKEN}`)}`,
      TOKEN,
    ])
      expect((await ask("GET", `${web.url}${path}`, { headers: { authorization: wrong } })).status).toBe(401);
  });

  test.for(READING.filter((path) => !path.endsWith("events")))("GET %s is answered for it", async (path) => {
    await using web = await openGuarded();
    const { status } = await ask("GET", `${web.url}${path}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    expect(status).toBe(200);
  });

  test.for(ACTING)("POST %s needs it, and a program with it needs no Origin", async (path) => {
    await using web = await openGuarded();
    expect((await ask("POST", `${web.url}${path}`, { headers: { origin: web.url } })).status).toBe(401);
    expect(web.view.asked).toEqual([]);
    const { status } = await ask("POST", `${web.url}${path}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    expect([200, 202]).toContain(status);
    expect(web.view.asked).toMatchObject([{ mirror: "a", by: "token from 127.0.0.1" }]);
  });

  test("a changed token ends the old one at once, and sessions with it", async () => {
    let token = TOKEN;
    await using web = await openTestWeb({ token: async () => token });
    const { cookie } = await logIn(web.url);
    expect((await ask("GET", `${web.url}/`, { headers: { cookie } })).status).toBe(200);
    token = "another-token";
    expect((await ask("GET", `${web.url}/`, { headers: { cookie } })).status).toBe(401);
    expect((await ask("GET", `${web.url}/`, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(
      401,
    );
    expect((await ask("GET", `${web.url}/`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(
      200,
    );
  });

  test("a token that cannot be read lets nobody in, and its path is not told", async () => {
    await using web = await openTestWeb({
      token: () => Promise.reject(new Error("EACCES /run/secrets/token")),
    });
    const { status, body } = await ask("GET", `${web.url}/api/v1/mirrors`, {
      headers: { authorization: "Bearer " },
    });
    expect(status).toBe(500);
    expect(body.toString()).not.toContain("/run/secrets");
  });
});

describe("logging in", () => {
  test("shows a form instead of the page, which leads back to where one wanted to go", async () => {
    await using web = await openGuarded();
    const { status, body } = await ask("GET", `${web.url}/mirrors/a`, { headers: HTML });
    expect(status).toBe(401);
    expect(body.toString()).toMatch(
      /<form method="post" action="\/login">[^]*name="to" value="\/mirrors\/a"/,
    );
    expect(body.toString()).not.toContain("quay.io");
  });

  test("gives a cookie that scripts and other sites cannot use, and that is not the token", async () => {
    await using web = await openGuarded();
    const { status, headers, cookie } = await logIn(web.url);
    expect([status, headers.location]).toEqual([303, "/"]);
    expect(headers["set-cookie"]?.[0]).toMatch(/; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(TOKEN);
    expect((await logIn(web.url)).cookie).not.toBe(cookie);
    const page = await ask("GET", `${web.url}/`, { headers: { cookie } });
    expect(page.body.toString()).toContain("Log out");
  });

  test("marks the cookie Secure when the browser came over TLS", async () => {
    await using web = await openGuarded();
    const { headers } = await ask("POST", `${web.url}/login`, {
      headers: {
        origin: "https://tagferry.example",
        host: "tagferry.example",
        "content-type": "application/x-www-form-urlencoded",
      },
      body: `token=${TOKEN}`,
    });
    expect(headers["set-cookie"]?.[0]).toContain("; Secure");
  });

  test.for(["wrong", "", `${TOKEN} x`, "ä".repeat(100)])('refuses "%s"', async (token) => {
    await using web = await openGuarded();
    const { status, headers, body } = await logIn(web.url, token);
    expect(status).toBe(401);
    expect(headers["set-cookie"]).toBeUndefined();
    expect(body.toString()).toContain("That is not the token.");
  });

  test.for([
    ["too large", "application/x-www-form-urlencoded", `token=${"x".repeat(10_000)}`, 413],
    ["no form", "multipart/form-data; boundary=x", "nonsense", 400],
  ] as const)("refuses a body that is %s", async ([, type, body, status]) => {
    await using web = await openGuarded();
    const headers = { origin: web.url, "content-type": type };
    expect((await ask("POST", `${web.url}/login`, { headers, body })).status).toBe(status);
  });

  test("refuses another site's form, so that nobody is logged in unknowingly", async () => {
    await using web = await openGuarded();
    const { status, headers } = await ask("POST", `${web.url}/login`, {
      headers: { origin: "https://evil.example", "content-type": "application/x-www-form-urlencoded" },
      body: `token=${TOKEN}`,
    });
    expect(status).toBe(403);
    expect(headers["set-cookie"]).toBeUndefined();
  });

  test.for([
    "//evil.example",
    "/\\evil.example",
    "https://evil.example",
    "/mirrors/../../x",
    "javascript:alert(1)",
    "/mirrors/a\r\nset-cookie: x=y",
    "/login",
  ])("never leads to %j afterwards", async (to) => {
    await using web = await openGuarded();
    const { status, headers } = await ask("POST", `${web.url}/login`, {
      headers: { origin: web.url, "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ token: TOKEN, to }).toString(),
    });
    expect([status, headers.location]).toEqual([303, "/"]);
  });

  test.for([
    ["nothing", ""],
    ["text", "tagferry_session=x"],
    ["another signature", (real: string) => `${real.slice(0, -2)}AA`],
    ["a later end", (real: string) => real.replace(/\.\d+\./, ".9999999999999.")],
    ["a part more", (real: string) => `${real}.x`],
  ] as const)("refuses a cookie of %s", async ([, forge]) => {
    await using web = await openGuarded();
    const { cookie } = await logIn(web.url);
    const forged = typeof forge === "string" ? forge : forge(cookie);
    expect((await ask("GET", `${web.url}/`, { headers: { cookie: forged } })).status).toBe(401);
  });

  test("ends with logging out, also for who kept the cookie", async () => {
    await using web = await openGuarded();
    const { cookie } = await logIn(web.url);
    const { cookie: another } = await logIn(web.url);
    const { status, headers } = await ask("POST", `${web.url}/logout`, {
      headers: { cookie, origin: web.url },
    });
    expect(status).toBe(303);
    expect(headers["set-cookie"]?.[0]).toMatch(/^tagferry_session=; Max-Age=0/);
    expect((await ask("GET", `${web.url}/`, { headers: { cookie } })).status).toBe(401);
    expect((await ask("GET", `${web.url}/`, { headers: { cookie: another } })).status).toBe(200);
    expect(
      (await ask("POST", `${web.url}/logout`, { headers: { cookie, origin: "http://evil.example" } })).status,
    ).toBe(403);
  });
});

describe("acting from a page (T17, E9)", () => {
  test.for([
    ["another site", { origin: "https://evil.example" }],
    ["another port", { origin: "http://127.0.0.1:1" }],
    ["a sandboxed frame", { origin: "null" }],
    ["no address", { origin: "" }],
    ["another site, as the browser says", { "sec-fetch-site": "cross-site" }],
    ["a sibling site", { "sec-fetch-site": "same-site" }],
    ["nowhere", {}],
  ] as const)("is refused from %s, with a session and on this machine alike", async ([, headers]) => {
    await using guarded = await openGuarded();
    await using local = await openTestWeb();
    local.view.set(freshMirror("a"));
    const { cookie } = await logIn(guarded.url);
    for (const path of ACTING) {
      const session = await ask("POST", `${guarded.url}${path}`, { headers: { cookie, ...headers } });
      expect([session.status, codeOf(session)]).toEqual([403, "WEB_ORIGIN"]);
      expect((await ask("POST", `${local.url}${path}`, { headers })).status).toBe(403);
    }
    expect([...guarded.view.asked, ...local.view.asked]).toEqual([]);
  });

  test("is refused from another site even with the token", async () => {
    await using web = await openGuarded();
    const headers = { authorization: `Bearer ${TOKEN}`, origin: "https://evil.example" };
    expect((await ask("POST", `${web.url}/api/v1/mirrors/a/sync`, { headers })).status).toBe(403);
  });

  test("is done from the page itself, and noted with who did it", async () => {
    await using guarded = await openGuarded();
    const { cookie } = await logIn(guarded.url);
    const headers = { cookie, origin: guarded.url, "sec-fetch-site": "same-origin" };
    expect((await ask("POST", `${guarded.url}/api/v1/mirrors/a/sync`, { headers })).status).toBe(202);
    expect(guarded.view.asked).toEqual([{ kind: "sync", mirror: "a", by: "page from 127.0.0.1" }]);
  });

  test("is done through a proxy that ends TLS, or that names us otherwise", async () => {
    await using web = await openGuarded();
    const { cookie } = await logIn(web.url);
    const path = `${web.url}/api/v1/mirrors/a/sync`;
    const edge = { cookie, host: "tagferry.apps.example", origin: "https://tagferry.apps.example" };
    const renamed = {
      cookie,
      host: "127.0.0.1:8080",
      origin: "https://tagferry.apps.example",
      "sec-fetch-site": "same-origin",
    };
    expect((await ask("POST", path, { headers: edge })).status).toBe(202);
    expect((await ask("POST", path, { headers: renamed })).status).toBe(202);
  });

  test.for(ACTING)("GET %s changes nothing: 405", async (path) => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a"));
    for (const method of ["GET", "HEAD"]) {
      const { status, headers } = await ask(method, `${web.url}${path}`);
      expect([status, headers.allow]).toEqual([405, "POST"]);
    }
    const put = await ask("PUT", `${web.url}${path}`, { headers: { origin: web.url } });
    expect([put.status, codeOf(put)]).toEqual([405, "WEB_METHOD"]);
    expect(web.view.asked).toEqual([]);
  });
});

describe("without a token", () => {
  test.for(["evil.example", "127.0.0.1.evil.example:80", "169.254.169.254", "localhost.evil.example"])(
    'shows nothing under the name "%s", which somebody may have pointed at this machine',
    async (host) => {
      await using web = await openTestWeb();
      for (const path of READING)
        expect((await ask("GET", `${web.url}${path}`, { headers: { host } })).status).toBe(403);
    },
  );

  test.for(["localhost", "localhost:8080", "127.0.0.1:1234", "[::1]:8080", "127.3.2.1"])(
    "answers as %s",
    async (host) => {
      await using web = await openTestWeb();
      expect((await ask("GET", `${web.url}/api/v1/mirrors`, { headers: { host } })).status).toBe(200);
    },
  );

  test("has no form to log in, and nothing to log out of", async () => {
    await using web = await openTestWeb();
    expect((await ask("GET", `${web.url}/`)).body.toString()).not.toContain("Log out");
    const { status, headers } = await logIn(web.url, "anything");
    expect([status, headers["set-cookie"]]).toEqual([303, undefined]);
  });
});
