import { describe, expect, test } from "vitest";

import { ask, type Reply } from "../../support/ask.ts";
import { freshMirror } from "../../support/view.ts";
import { openTestWeb, TOKEN } from "../../support/web.ts";

const READ_TOKEN = "only-for-looking-at-it";
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const codeOf = ({ body }: Reply): string => (JSON.parse(body.toString()) as { code: string }).code;

async function openGuarded() {
  const web = await openTestWeb({ token: async () => TOKEN, readToken: async () => READ_TOKEN });
  web.view.set(freshMirror("a"));
  return web;
}

async function logIn(url: string, token: string): Promise<string> {
  const reply = await ask("POST", `${url}/login`, {
    headers: { origin: url, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ token, to: "/" }).toString(),
  });
  return reply.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
}

describe("the read token", () => {
  test.for(["/", "/mirrors/a", "/api/v1/mirrors", "/api/v1/health"])("reads %s", async (path) => {
    await using web = await openGuarded();
    expect((await ask("GET", `${web.url}${path}`, { headers: bearer(READ_TOKEN) })).status).toBe(200);
  });

  test.for(["sync", "pause", "resume", "retry"])("does not %s, nor does its session", async (action) => {
    await using web = await openGuarded();
    const cookie = await logIn(web.url, READ_TOKEN);
    for (const path of [`/api/v1/mirrors/a/${action}`, `/mirrors/a/${action}`])
      for (const headers of [bearer(READ_TOKEN), { cookie, origin: web.url }]) {
        const reply = await ask("POST", `${web.url}${path}`, { headers });
        expect([reply.status, codeOf(reply)]).toEqual([403, "WEB_READ_ONLY"]);
      }
    expect(web.view.asked).toEqual([]);
    expect(
      (await ask("POST", `${web.url}/api/v1/mirrors/a/${action}`, { headers: bearer(TOKEN) })).status,
    ).toBeLessThan(300);
  });

  test("shows a page without buttons that act", async () => {
    await using web = await openGuarded();
    for (const path of ["/", "/mirrors/a"]) {
      const [reads, acts] = await Promise.all(
        [READ_TOKEN, TOKEN].map(async (token) =>
          (await ask("GET", `${web.url}${path}`, { headers: bearer(token) })).body.toString(),
        ),
      );
      expect(reads).not.toContain("Sync now");
      expect(acts).toContain("Sync now");
    }
  });

  test("gives way when its file is gone: then the request fails and nobody is let in", async () => {
    await using web = await openTestWeb({
      token: async () => TOKEN,
      readToken: () => Promise.reject(new Error("ENOENT")),
    });
    expect((await ask("GET", `${web.url}/`, { headers: bearer(READ_TOKEN) })).status).toBe(500);
  });
});
