import { setImmediate } from "node:timers/promises";

import { describe, expect, test, vi } from "vitest";

import { inProcessAllowance, lineOfUploads } from "../../src/oci/allowance.ts";

describe("inProcessAllowance", () => {
  test("lets as many requests run as there are connections, the rest in the order they came", async () => {
    const allowance = inProcessAllowance(() => ({ connections: 2 }));
    const [first, second] = [await allowance.request("r"), await allowance.request("r")];
    const started: string[] = [];
    const third = allowance.request("r").then((held) => (started.push("third"), held));
    const fourth = allowance.request("r").then((held) => (started.push("fourth"), held));
    await setImmediate();
    expect(started).toEqual([]);
    second[Symbol.dispose]();
    await third;
    await setImmediate();
    expect(started).toEqual(["third"]);
    first[Symbol.dispose]();
    await fourth;
    expect(started).toEqual(["third", "fourth"]);
  });

  test("knows each registry's own limit, and asks for it once", async () => {
    const asked: string[] = [];
    const allowance = inProcessAllowance((registry) => {
      asked.push(registry);
      return { connections: 1 };
    });
    using one = await allowance.request("one");
    using other = await allowance.request("other");
    one[Symbol.dispose]();
    using again = await allowance.request("one");
    expect(asked).toEqual(["one", "other"]);
    expect(other).not.toBe(again);
  });

  test("forgets who gave up waiting", async () => {
    const allowance = inProcessAllowance(() => ({ connections: 1 }));
    const held = await allowance.request("r");
    const stop = new AbortController();
    const leaving = allowance.request("r", { signal: stop.signal });
    const staying = allowance.request("r");
    stop.abort(new Error("enough"));
    await expect(leaving).rejects.toThrow("enough");
    held[Symbol.dispose]();
    (await staying)[Symbol.dispose]();
    (await allowance.request("r"))[Symbol.dispose]();
  });

  test("takes nothing for a signal that has aborted already", async () => {
    const allowance = inProcessAllowance(() => ({ connections: 1 }));
    await expect(allowance.request("r", { signal: AbortSignal.abort(new Error("late")) })).rejects.toThrow(
      "late",
    );
    using held = await allowance.request("r");
    expect(held).toBeDefined();
  });

  test("counts what is given back twice once", async () => {
    const allowance = inProcessAllowance(() => ({ connections: 1 }));
    const first = await allowance.request("r");
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    const second = await allowance.request("r");
    let third = false;
    const waiting = allowance.request("r").then((held) => {
      third = true;
      return held;
    });
    await setImmediate();
    expect(third).toBe(false);
    second[Symbol.dispose]();
    (await waiting)[Symbol.dispose]();
  });

  test("spreads requests over time, and gives the connection back when the wait is aborted", async () => {
    vi.useFakeTimers({ toFake: ["performance", "Date"] });
    try {
      const allowance = inProcessAllowance(() => ({ connections: 1, requestsPerSecond: 0.001 }));
      (await allowance.request("r"))[Symbol.dispose]();
      const stop = new AbortController();
      const waiting = allowance.request("r", { signal: stop.signal });
      await setImmediate();
      stop.abort(new Error("enough"));
      await expect(waiting).rejects.toThrow("enough");
      vi.advanceTimersByTime(10_000_000);
      (await allowance.request("r"))[Symbol.dispose]();
    } finally {
      vi.useRealTimers();
    }
  });

  test("starts nothing in any line of a parked registry, and everything of others", async () => {
    const allowance = inProcessAllowance(() => ({ connections: 4 }));
    const until = Date.now() + 60;
    allowance.park("r", new Date(until));
    expect(await allowance.parkedUntil("r")).toEqual(new Date(until));
    expect(await allowance.parkedUntil("another")).toBeUndefined();
    const waiting = ["r", "r", lineOfUploads("r")].map(async (line) => {
      using _ = await allowance.request(line);
      return Date.now();
    });
    (await allowance.request("another"))[Symbol.dispose]();
    expect(Date.now()).toBeLessThan(until);
    for (const startedMs of await Promise.all(waiting)) expect(startedMs).toBeGreaterThanOrEqual(until);
    expect(await allowance.parkedUntil("r")).toBeUndefined();
  });

  test("lets the later of two ends stand, also for those that wait already", async () => {
    const allowance = inProcessAllowance(() => ({ connections: 1 }));
    const until = Date.now() + 80;
    allowance.park("r", new Date(Date.now() + 20));
    const waiting = allowance.request("r").then(() => Date.now());
    allowance.park("r", new Date(until));
    allowance.park("r", new Date(until - 50));
    expect(await waiting).toBeGreaterThanOrEqual(until);
  });

  test("refuses at once, with the time, what would wait for longer than anybody has patience", async () => {
    const allowance = inProcessAllowance(() => ({ connections: 1 }));
    const until = new Date(Date.now() + 3_600_000);
    allowance.park("r", until);
    for (const line of ["r", lineOfUploads("r"), "r"])
      await expect(allowance.request(line)).rejects.toMatchObject({
        code: "RATE_LIMITED",
        details: { where: "r", retryAt: until.toISOString() },
      });
  });

  test("forgets who gives up waiting for a parked registry", async () => {
    const allowance = inProcessAllowance(() => ({ connections: 1 }));
    allowance.park("r", new Date(Date.now() + 50));
    const stop = new AbortController();
    const leaving = allowance.request("r", { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(leaving).rejects.toThrow("enough");
    (await allowance.request("r"))[Symbol.dispose]();
  });
});
