import { describe, expect, test } from "vitest";

import { TagferryError } from "../../../src/errors/error.ts";
import { ask } from "../../support/ask.ts";
import { digest, failure, finishedRun, freshMirror, goodHealth, tagRecord } from "../../support/view.ts";
import { openTestWeb, type TestWeb } from "../../support/web.ts";

async function get(web: TestWeb, path: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const { status, body } = await ask("GET", `${web.url}${path}`);
  return { status, body: JSON.parse(body.toString()) };
}

async function post(
  web: TestWeb,
  path: string,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const { status, body } = await ask("POST", `${web.url}${path}`, { headers: { origin: web.url } });
  return { status, body: JSON.parse(body.toString()) };
}

describe("reading", () => {
  test("tells all mirrors, and one with its tags and runs, as the daemon does", async () => {
    await using web = await openTestWeb();
    const [one, two] = [freshMirror("one"), freshMirror("a/b c", { state: "failing", failure: failure() })];
    const [tags, runs] = [[tagRecord("1.0")], [finishedRun("one")]];
    web.view.set(one, { tags, runs });
    web.view.set(two);
    expect(await get(web, "/api/v1/mirrors")).toEqual({ status: 200, body: { mirrors: [one, two] } });
    expect(await get(web, "/api/v1/mirrors/one")).toEqual({
      status: 200,
      body: { mirror: one, tags, runs, day: [] },
    });
    expect(await get(web, "/api/v1/mirrors/a%2Fb%20c")).toMatchObject({ status: 200, body: { mirror: two } });
  });

  test("tells the health", async () => {
    await using web = await openTestWeb();
    const health = goodHealth();
    web.view.setHealth(health);
    expect(await get(web, "/api/v1/health")).toEqual({ status: 200, body: health });
  });

  test("reads no other mirror for the runs of one", async () => {
    await using web = await openTestWeb();
    const one = finishedRun("one");
    web.view.set(freshMirror("one"), { runs: [one] });
    web.view.mirrors = () => Promise.reject(new Error("all mirrors were read"));
    expect(await get(web, "/api/v1/runs?mirror=one")).toEqual({ status: 200, body: { runs: [one] } });
  });

  test("tells runs, of one mirror and no more than asked for", async () => {
    await using web = await openTestWeb();
    const [one, two] = [finishedRun("one"), finishedRun("two")];
    web.view.set(freshMirror("one"), { runs: [one, one, one] });
    web.view.set(freshMirror("two"), { runs: [two] });
    expect(await get(web, "/api/v1/runs")).toEqual({ status: 200, body: { runs: [one, one, one, two] } });
    expect(await get(web, "/api/v1/runs?mirror=two&limit=200")).toEqual({
      status: 200,
      body: { runs: [two] },
    });
    expect(await get(web, "/api/v1/runs?limit=1")).toEqual({ status: 200, body: { runs: [one] } });
  });

  test.for(["0", "201", "-1", "1.5", "1e2", "", " 1", "0x10", "NaN", "99999999999999999999"])(
    'refuses limit "%s" (E11)',
    async (limit) => {
      await using web = await openTestWeb();
      expect(await get(web, `/api/v1/runs?limit=${encodeURIComponent(limit)}`)).toMatchObject({
        status: 400,
        body: { code: "WEB_REQUEST", message: "limit is not a whole number from 1 to 200" },
      });
    },
  );

  test.for(["page=0", "page=x", "state=broken"])("refuses the page for ?%s (E11)", async (query) => {
    await using web = await openTestWeb();
    expect(await get(web, `/?${query}`)).toMatchObject({ status: 400, body: { code: "WEB_REQUEST" } });
  });

  test.for([
    ["/api/v1/mirrors/none", "MIRROR_UNKNOWN"],
    ["/api/v1/runs?mirror=none", "MIRROR_UNKNOWN"],
    ["/mirrors/none", "MIRROR_UNKNOWN"],
    ["/api/v1/mirrors/__proto__", "MIRROR_UNKNOWN"],
    ["/mirrors/..%2f..%2fetc%2fpasswd", "MIRROR_UNKNOWN"],
    ["/assets/..%2fpage-parts.ts", "WEB_NOT_FOUND"],
    ["/assets/%2e%2e/server.ts", "WEB_NOT_FOUND"],
    ["/api/v2/mirrors", "WEB_NOT_FOUND"],
    ["/mirrors/%ff", "MIRROR_UNKNOWN"],
  ] as const)("finds nothing at %s (E10)", async ([path, code]) => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a"));
    expect(await get(web, path)).toMatchObject({ status: 404, body: { code, next: expect.any(String) } });
  });

  test("shows no secret, wherever one slipped in", async () => {
    await using web = await openTestWeb();
    const message = "GET https://robot:hunter2@quay.io/v2/?token=abcdef failed";
    web.view.set(freshMirror("a", { state: "failing", failure: failure({ message }) }), {
      tags: [tagRecord("1", { failure: failure({ message }) })],
      runs: [finishedRun("a", { failure: failure({ message, details: { authorization: "hunter2" } }) })],
    });
    for (const path of ["/", "/mirrors/a", "/api/v1/mirrors", "/api/v1/mirrors/a", "/api/v1/runs"]) {
      const text = (await ask("GET", `${web.url}${path}`)).body.toString();
      expect(text).toContain("https://***@quay.io");
      expect(text).not.toMatch(/hunter2|abcdef/);
    }
  });
});

describe("acting", () => {
  test.for([
    ["sync", 202, "queued"],
    ["pause", 200, "paused"],
    ["resume", 200, "resumed"],
    ["retry", 202, "retried"],
  ] as const)("POST %s does it", async ([action, status, result]) => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a"));
    expect(await post(web, `/api/v1/mirrors/a/${action}`)).toEqual({ status, body: { mirror: "a", result } });
    expect(web.view.asked).toEqual([{ kind: action, mirror: "a", by: "somebody at 127.0.0.1" }]);
    expect(await post(web, `/api/v1/mirrors/none/${action}`)).toMatchObject({
      status: 404,
      body: { code: "MIRROR_UNKNOWN" },
    });
  });

  test("a form leads back to the page it was on, and nowhere else", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a"));
    const leads = async (back: string) => {
      const { status, headers } = await ask("POST", `${web.url}/mirrors/a/sync`, {
        headers: {
          origin: web.url,
          accept: "text/html",
          "content-type": "application/x-www-form-urlencoded",
        },
        body: new URLSearchParams({ back }).toString(),
      });
      return [status, headers.location];
    };
    expect(await leads("/")).toEqual([303, "/"]);
    expect(await leads("/mirrors/a")).toEqual([303, "/mirrors/a"]);
    expect(await leads("//evil.example")).toEqual([303, "/mirrors/a"]);
    expect(await leads("https://evil.example/")).toEqual([303, "/mirrors/a"]);
  });
});

describe("while Redis is away", () => {
  test("says so with a code, and is to be asked again", async () => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a"));
    web.view.fail(new TagferryError("QUEUE_AWAY", "Redis is away"));
    for (const path of ["/api/v1/mirrors", "/api/v1/mirrors/a", "/api/v1/runs"])
      expect(await get(web, path)).toMatchObject({ status: 503, body: { code: "QUEUE_AWAY" } });
    expect(await post(web, "/api/v1/mirrors/a/sync")).toMatchObject({
      status: 503,
      body: { code: "QUEUE_AWAY" },
    });
  });

  test("the page still shows the daemon, and why there are no mirrors", async () => {
    await using web = await openTestWeb();
    web.view.fail(new TagferryError("QUEUE_AWAY", "Redis is away"));
    web.view.setHealth({
      redis: { kind: "away", since: "2026-01-01T00:00:00Z", reason: "connection refused" },
      ready: false,
    });
    const { status, body } = await ask("GET", `${web.url}/`);
    expect(status).toBe(200);
    expect(body.toString()).toMatch(
      /Redis is away[^]*connection refused[^]*The mirrors cannot be shown now[^]*QUEUE_AWAY[^]*id="engine"/,
    );
  });
});

describe("while streams are not watched", () => {
  test("the page says where, and why", async () => {
    await using web = await openTestWeb();
    const page = async (): Promise<string> => (await ask("GET", `${web.url}/`)).body.toString();
    expect(await page()).toContain("watched in 1 namespace");
    const since = "2026-01-01T00:00:00Z";
    web.view.setHealth({
      streamWatches: [
        { namespace: "web", kind: "watching", since },
        { namespace: "shop", kind: "denied", since, reason: 'CLUSTER_DENIED: <b>may not</b> "watch"' },
      ],
    });
    expect(await page()).toMatch(
      /not watched in 1 of 2 namespaces[^]*title="[^"<]*CLUSTER_DENIED[^"<]*"[^>]*>\s*shop: no right/,
    );
    expect(await page()).not.toContain("<b>may not");
  });
});

describe("a bug", () => {
  test("is answered without what it says: that is for the log", async () => {
    await using web = await openTestWeb();
    web.view.fail(new Error(`cannot read /etc/secret of ${digest("a")}`));
    for (const accept of ["text/html", "application/json"]) {
      const { status, body } = await ask("GET", `${web.url}/mirrors/a`, { headers: { accept } });
      expect(status).toBe(500);
      expect(body.toString()).toContain("INTERNAL");
      expect(body.toString()).not.toContain("/etc/secret");
    }
  });
});
