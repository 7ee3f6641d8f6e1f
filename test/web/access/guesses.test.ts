import { describe, expect, test } from "vitest";

import { openGuesses } from "../../../src/web/access/guesses.ts";
import { peerOf } from "../../../src/web/access/peer.ts";
import { ask } from "../../support/ask.ts";
import { openTestWeb, TOKEN } from "../../support/web.ts";

const logIn = (url: string, token: string) =>
  ask("POST", `${url}/login`, {
    headers: { origin: url, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ token }).toString(),
  });

function allowed(guesses: ReturnType<typeof openGuesses>, peer: string): boolean {
  try {
    guesses.assertAllowed(peer);
    return true;
  } catch {
    return false;
  }
}

describe("wrong tokens", () => {
  test("are ten at once for a peer, then one every ten seconds", () => {
    let now = 1_000_000;
    const guesses = openGuesses(() => now);
    for (let count = 0; count < 10; count += 1) {
      expect(allowed(guesses, "a")).toBe(true);
      guesses.failed("a");
    }
    expect(allowed(guesses, "a")).toBe(false);
    expect(allowed(guesses, "b")).toBe(true);
    now += 9_000;
    expect(allowed(guesses, "a")).toBe(false);
    now += 1_500;
    expect(allowed(guesses, "a")).toBe(true);
  });

  test("of many peers are bounded in total, and a peer beyond its own budget uses none of the total", () => {
    const guesses = openGuesses(() => 1_000_000);
    for (let count = 0; count < 1_000; count += 1) guesses.failed("one peer");
    expect(allowed(guesses, "another")).toBe(true);
    for (let peer = 0; peer < 100; peer += 1) guesses.failed(`peer ${peer}`);
    expect(allowed(guesses, "another")).toBe(false);
  });

  test("come from one peer when they come from one IPv6 network", () => {
    expect(peerOf("2001:db8:1:2:3:4:5:6")).toBe(peerOf("2001:db8:1:2::9"));
    expect(peerOf("2001:db8:1:3::9")).not.toBe(peerOf("2001:db8:1:2::9"));
    expect(peerOf("::ffff:10.1.2.3")).toBe("10.1.2.3");
  });
});

describe("logging in", () => {
  test("is refused after ten wrong tokens, also with the right one: no answer helps to guess", async () => {
    await using web = await openTestWeb({ token: async () => TOKEN });
    const statuses: number[] = [];
    for (let count = 0; count < 12; count += 1)
      statuses.push((await logIn(web.url, `wrong ${count}`)).status);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
    const right = await logIn(web.url, TOKEN);
    expect([right.status, right.headers["retry-after"]]).toEqual([429, "30"]);
    expect(right.headers["set-cookie"]).toBeUndefined();
  });

  test("with the right token costs nothing", async () => {
    await using web = await openTestWeb({ token: async () => TOKEN });
    for (let count = 0; count < 30; count += 1) expect((await logIn(web.url, TOKEN)).status).toBe(303);
  });
});

test("wrong bearer tokens are slowed down, and lock nobody with the right one out", async () => {
  await using web = await openTestWeb({ token: async () => TOKEN });
  const get = (token: string) =>
    ask("GET", `${web.url}/api/v1/mirrors`, { headers: { authorization: `Bearer ${token}` } });
  const statuses: number[] = [];
  for (let count = 0; count < 12; count += 1) statuses.push((await get(`wrong ${count}`)).status);
  expect(statuses.slice(-2)).toEqual([429, 429]);
  expect((await get(TOKEN)).status).toBe(200);
});
