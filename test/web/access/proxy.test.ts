import { describe, expect, test } from "vitest";

import { ask } from "../../support/ask.ts";
import { freshMirror } from "../../support/view.ts";
import { openTestWeb, TOKEN } from "../../support/web.ts";

type Options = Parameters<typeof openTestWeb>[0];

/** The user in the audit line after a pause with these headers. */
async function pausedBy(options: Options, headers: Readonly<Record<string, string>>): Promise<unknown> {
  await using web = await openTestWeb(options);
  web.view.set(freshMirror("a"));
  await ask("POST", `${web.url}/api/v1/mirrors/a/pause`, { headers: { origin: web.url, ...headers } });
  return web.view.asked[0] && "by" in web.view.asked[0] ? web.view.asked[0].by : undefined;
}

const ALICE = { "x-forwarded-user": "alice" };
const PROXY = { kind: "secret", secret: async () => "proxy-secret" } as const;

describe("X-Forwarded-User", () => {
  test("is not believed where no proxy is configured", async () => {
    expect(await pausedBy({}, ALICE)).toBe("somebody at 127.0.0.1");
  });

  test("is believed from this machine where that is configured", async () => {
    expect(await pausedBy({ proxy: { kind: "loopback" } }, ALICE)).toBe("alice (proxy)");
    expect(await pausedBy({ proxy: { kind: "loopback" } }, { "x-forwarded-user": "al\u0085ice" })).toBe(
      "al\\u0085ice (proxy)",
    );
  });

  test("is believed with the proxy's secret, and with no other", async () => {
    const send = (secret: string) =>
      pausedBy({ proxy: PROXY }, { ...ALICE, "x-tagferry-proxy-secret": secret });
    expect(await send("proxy-secret")).toBe("alice (proxy)");
    expect(await send("another")).toBe("somebody at 127.0.0.1");
    expect(await pausedBy({ proxy: PROXY }, ALICE)).toBe("somebody at 127.0.0.1");
  });

  test("names somebody and lets nobody in: the token is still needed", async () => {
    for (const proxy of [{ kind: "loopback" } as const, PROXY]) {
      const options: Options = { token: async () => TOKEN, proxy };
      const headers = { ...ALICE, "x-tagferry-proxy-secret": "proxy-secret" };
      expect(await pausedBy(options, headers)).toBeUndefined();
      expect(await pausedBy(options, { ...headers, authorization: `Bearer ${TOKEN}` })).toBe("alice (proxy)");
    }
  });
});

describe("the Host of /metrics", () => {
  const status = async (options: Options, host: string, headers: Readonly<Record<string, string>> = {}) => {
    await using web = await openTestWeb(options);
    return (await ask("GET", `${web.url}/metrics`, { headers: { host, ...headers } })).status;
  };
  const guarded: Options = { token: async () => TOKEN };
  const worker: Options = { only: "health" };

  test.for([
    ["localhost:8080", 200, 200, 200],
    ["127.0.0.1", 200, 200, 200],
    ["[::1]:8080", 200, 200, 200],
    ["10.128.3.7:8080", 403, 200, 200],
    ["tagferry", 403, 200, 200],
    ["tagferry.tagferry.svc:8080", 403, 200, 200],
    ["tagferry.tagferry.svc.cluster.local", 403, 200, 200],
    ["evil.example", 403, 401, 403],
    ["127.0.0.1.evil.example:8080", 403, 401, 403],
    ["tagferry.svc.evil.example", 403, 401, 403],
  ] as const)("%j: without a token %d, with one %d, at a worker %d", async ([host, none, token, only]) => {
    expect(await status({}, host)).toBe(none);
    expect(await status(guarded, host)).toBe(token);
    expect(await status(worker, host)).toBe(only);
  });

  test("may be a public name for who sends the token", async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect(await status(guarded, "tagferry.apps.example", headers)).toBe(200);
  });
});
