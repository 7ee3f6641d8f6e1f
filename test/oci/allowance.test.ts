import { setImmediate } from "node:timers/promises";

import { describe, expect, test, vi } from "vitest";

import { inProcessAllowance } from "../../src/oci/allowance.ts";

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
});
