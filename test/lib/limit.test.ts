import { setImmediate } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { limit, mapConcurrently } from "../../src/lib/limit.ts";

describe("limit", () => {
  test("runs at most so many tasks at a time, in the order they came", async () => {
    const narrow = limit(2);
    const started: number[] = [];
    let running = 0;
    let peak = 0;
    const task = async (position: number): Promise<number> => {
      started.push(position);
      running += 1;
      peak = Math.max(peak, running);
      await setImmediate();
      running -= 1;
      return position;
    };
    const results = await Promise.all([0, 1, 2, 3, 4].map((position) => narrow(() => task(position))));
    expect(results).toEqual([0, 1, 2, 3, 4]);
    expect(started).toEqual([0, 1, 2, 3, 4]);
    expect(peak).toBe(2);
  });

  test("goes on after a task that failed", async () => {
    const narrow = limit(1);
    const failing = narrow(() => Promise.reject(new Error("broken")));
    await expect(failing).rejects.toThrow("broken");
    expect(await narrow(async () => "next")).toBe("next");
  });

  test("forgets who gave up waiting, and never runs its task", async () => {
    const narrow = limit(1);
    const stop = new AbortController();
    const first = Promise.withResolvers<void>();
    const running = narrow(() => first.promise);
    let ran = false;
    const leaving = narrow(
      async () => {
        ran = true;
      },
      { signal: stop.signal },
    );
    const staying = narrow(async () => "staying");
    stop.abort(new Error("enough"));
    await expect(leaving).rejects.toThrow("enough");
    first.resolve();
    await running;
    expect(await staying).toBe("staying");
    expect(ran).toBe(false);
  });

  test("starts nothing for a signal that has aborted already", async () => {
    const narrow = limit(1);
    const signal = AbortSignal.abort(new Error("late"));
    await expect(narrow(async () => "ran", { signal })).rejects.toThrow("late");
    expect(await narrow(async () => "free")).toBe("free");
  });

  test("an abort after the start leaves the task alone", async () => {
    const narrow = limit(1);
    const stop = new AbortController();
    const result = narrow(
      async () => {
        stop.abort();
        await setImmediate();
        return "done";
      },
      { signal: stop.signal },
    );
    expect(await result).toBe("done");
  });
});

describe("mapConcurrently", () => {
  test("yields every result as it comes, at most so many under way", async () => {
    let running = 0;
    let peak = 0;
    const gates = [3, 1, 2].map(() => Promise.withResolvers<void>());
    const results: number[] = [];
    const mapping = (async () => {
      for await (const result of mapConcurrently([0, 1, 2], 3, async (position) => {
        running += 1;
        peak = Math.max(peak, running);
        await gates[position]?.promise;
        running -= 1;
        return position;
      }))
        results.push(result);
    })();
    for (const position of [2, 0, 1]) {
      gates[position]?.resolve();
      await setImmediate();
    }
    await mapping;
    expect(results).toEqual([2, 0, 1]);
    expect(peak).toBe(3);
  });

  test.for([1, 2, 5])("never runs more than %i", async (width) => {
    let running = 0;
    let peak = 0;
    const work = async (): Promise<void> => {
      running += 1;
      peak = Math.max(peak, running);
      await setImmediate();
      running -= 1;
    };
    const results = await Array.fromAsync(mapConcurrently(Array(12).keys(), width, work));
    expect(results).toHaveLength(12);
    expect(peak).toBe(width);
  });

  test("ends with the first failure: what runs is awaited, nothing new starts", async () => {
    const started: number[] = [];
    let finished = false;
    const mapping = Array.fromAsync(
      mapConcurrently([0, 1, 2, 3, 4], 2, async (position) => {
        started.push(position);
        if (position === 1) throw new Error("broken");
        await setImmediate();
        finished = true;
      }),
    );
    await expect(mapping).rejects.toThrow("broken");
    expect(started).toEqual([0, 1]);
    expect(finished).toBe(true);
  });

  test("awaits what runs when its reader leaves", async () => {
    let finished = 0;
    for await (const first of mapConcurrently([0, 1, 2], 3, async (position) => {
      if (position > 0) await setImmediate();
      finished += 1;
      return position;
    })) {
      expect(first).toBe(0);
      break;
    }
    expect(finished).toBe(3);
  });

  test("takes items as they are asked for", async () => {
    let taken = 0;
    async function* items(): AsyncGenerator<number> {
      for (;;) yield taken++;
    }
    for await (const item of mapConcurrently(items(), 2, async (one) => one)) if (item >= 3) break;
    expect(taken).toBeLessThanOrEqual(8);
  });

  test("gives nothing for nothing", async () => {
    expect(await Array.fromAsync(mapConcurrently([], 4, async () => "x"))).toEqual([]);
  });
});
