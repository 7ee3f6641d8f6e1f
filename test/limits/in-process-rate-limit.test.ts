import { setImmediate } from "node:timers/promises";

import { describe, expect, test, vi } from "vitest";

import { inProcessRateLimit } from "../../src/limits/in-process-rate-limit.ts";
import { uploadQueueOf } from "../../src/oci/rate-limit.ts";

describe("inProcessAllowance", () => {
  test("lets as many requests run as there are connections, the rest in the order they came", async () => {
    const rateLimit = inProcessRateLimit(() => ({ connections: 2 }));
    const [first, second] = [await rateLimit.request("r"), await rateLimit.request("r")];
    const started: string[] = [];
    const third = rateLimit.request("r").then((held) => (started.push("third"), held));
    const fourth = rateLimit.request("r").then((held) => (started.push("fourth"), held));
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
    const rateLimit = inProcessRateLimit((registry) => {
      asked.push(registry);
      return { connections: 1 };
    });
    using one = await rateLimit.request("one");
    using other = await rateLimit.request("other");
    one[Symbol.dispose]();
    using again = await rateLimit.request("one");
    expect(asked).toEqual(["one", "other"]);
    expect(other).not.toBe(again);
  });

  test("forgets who gave up waiting", async () => {
    const rateLimit = inProcessRateLimit(() => ({ connections: 1 }));
    const held = await rateLimit.request("r");
    const stop = new AbortController();
    const leaving = rateLimit.request("r", { signal: stop.signal });
    const staying = rateLimit.request("r");
    stop.abort(new Error("enough"));
    await expect(leaving).rejects.toThrow("enough");
    held[Symbol.dispose]();
    (await staying)[Symbol.dispose]();
    (await rateLimit.request("r"))[Symbol.dispose]();
  });

  test("takes nothing for a signal that has aborted already", async () => {
    const rateLimit = inProcessRateLimit(() => ({ connections: 1 }));
    await expect(rateLimit.request("r", { signal: AbortSignal.abort(new Error("late")) })).rejects.toThrow(
      "late",
    );
    using held = await rateLimit.request("r");
    expect(held).toBeDefined();
  });

  test("counts what is given back twice once", async () => {
    const rateLimit = inProcessRateLimit(() => ({ connections: 1 }));
    const first = await rateLimit.request("r");
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    const second = await rateLimit.request("r");
    let third = false;
    const waiting = rateLimit.request("r").then((held) => {
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
      const rateLimit = inProcessRateLimit(() => ({ connections: 1, requestsPerSecond: 0.001 }));
      (await rateLimit.request("r"))[Symbol.dispose]();
      const stop = new AbortController();
      const waiting = rateLimit.request("r", { signal: stop.signal });
      await setImmediate();
      stop.abort(new Error("enough"));
      await expect(waiting).rejects.toThrow("enough");
      vi.advanceTimersByTime(10_000_000);
      (await rateLimit.request("r"))[Symbol.dispose]();
    } finally {
      vi.useRealTimers();
    }
  });

  test("starts nothing in any line of a paused registry, and everything of others", async () => {
    const rateLimit = inProcessRateLimit(() => ({ connections: 4 }));
    const until = Date.now() + 60;
    rateLimit.pauseUntil("r", new Date(until));
    expect(await rateLimit.pausedUntil("r")).toEqual(new Date(until));
    expect(await rateLimit.pausedUntil("another")).toBeUndefined();
    const waiting = ["r", "r", uploadQueueOf("r")].map(async (line) => {
      using _ = await rateLimit.request(line);
      return Date.now();
    });
    (await rateLimit.request("another"))[Symbol.dispose]();
    expect(Date.now()).toBeLessThan(until);
    for (const startedMs of await Promise.all(waiting)) expect(startedMs).toBeGreaterThanOrEqual(until);
    expect(await rateLimit.pausedUntil("r")).toBeUndefined();
  });

  test("lets the later of two ends stand, also for those that wait already", async () => {
    const rateLimit = inProcessRateLimit(() => ({ connections: 1 }));
    const until = Date.now() + 80;
    rateLimit.pauseUntil("r", new Date(Date.now() + 20));
    const waiting = rateLimit.request("r").then(() => Date.now());
    rateLimit.pauseUntil("r", new Date(until));
    rateLimit.pauseUntil("r", new Date(until - 50));
    expect(await waiting).toBeGreaterThanOrEqual(until);
  });

  test("pauses no longer because the clock goes back meanwhile", async () => {
    vi.useFakeTimers({ toFake: ["performance", "Date"] });
    try {
      const rateLimit = inProcessRateLimit(() => ({ connections: 1 }));
      rateLimit.pauseUntil("r", new Date(Date.now() + 60_000));
      vi.setSystemTime(Date.now() - 3_600_000);
      expect(await rateLimit.pausedUntil("r")).toBeDefined();
      vi.advanceTimersByTime(60_000);
      expect(await rateLimit.pausedUntil("r")).toBeUndefined();
      (await rateLimit.request("r"))[Symbol.dispose]();
    } finally {
      vi.useRealTimers();
    }
  });

  test("refuses at once, with the time, what would wait for longer than anybody has patience", async () => {
    const rateLimit = inProcessRateLimit(() => ({ connections: 1 }));
    const until = new Date(Date.now() + 3_600_000);
    rateLimit.pauseUntil("r", until);
    for (const line of ["r", uploadQueueOf("r"), "r"])
      await expect(rateLimit.request(line)).rejects.toMatchObject({
        code: "RATE_LIMITED",
        details: { where: "r", retryAt: until.toISOString() },
      });
  });

  test("forgets who gives up waiting for a paused registry", async () => {
    const rateLimit = inProcessRateLimit(() => ({ connections: 1 }));
    rateLimit.pauseUntil("r", new Date(Date.now() + 50));
    const stop = new AbortController();
    const leaving = rateLimit.request("r", { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(leaving).rejects.toThrow("enough");
    (await rateLimit.request("r"))[Symbol.dispose]();
  });
});
