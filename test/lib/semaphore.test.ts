import { describe, expect, test } from "vitest";

import { openKeyedMutex, openSemaphore } from "../../src/lib/semaphore.ts";

describe("a semaphore", () => {
  test("gives its places out in the order in which they were asked for", async () => {
    const semaphore = openSemaphore(1);
    const order: string[] = [];
    const use = async (name: string): Promise<void> => {
      using place = await semaphore.acquire();
      order.push(name);
    };
    const first = await semaphore.acquire();
    const others = [use("second"), use("third")];
    expect(semaphore.inUse()).toBe(1);
    first[Symbol.dispose]();
    await Promise.all(others);
    expect({ order, inUse: semaphore.inUse() }).toEqual({ order: ["second", "third"], inUse: 0 });
  });

  test("takes a place back once, however often it is given back", async () => {
    const semaphore = openSemaphore(2);
    const [one] = await Promise.all([semaphore.acquire(), semaphore.acquire()]);
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    expect(semaphore.inUse()).toBe(1);
  });

  test("lets go of who gives up, and serves the next", async () => {
    const semaphore = openSemaphore(1);
    const held = await semaphore.acquire();
    const controller = new AbortController();
    const abandoned = semaphore.acquire({ signal: controller.signal });
    const next = semaphore.acquire();
    controller.abort(new Error("enough"));
    await expect(abandoned).rejects.toThrow("enough");
    held[Symbol.dispose]();
    using place = await next;
    expect(semaphore.inUse()).toBe(1);
  });
});

describe("a semaphore whose requests take several places", () => {
  test("never gives out more than it has, and lets no small request pass a large one", async () => {
    const semaphore = openSemaphore(10);
    const first = await semaphore.acquire({ places: 6 });
    const order: string[] = [];
    const use = async (name: string, places: number): Promise<void> => {
      using room = await semaphore.acquire({ places });
      order.push(`${name} ${semaphore.inUse()}`);
    };
    const waiting = [use("large", 7), use("small", 2)];
    expect(semaphore.tryAcquire(1)).toBeUndefined();
    expect(semaphore.inUse()).toBe(6);
    first[Symbol.dispose]();
    await Promise.all(waiting);
    expect(order[0]).toMatch(/^large/);
    expect(semaphore.inUse()).toBe(0);
  });

  test("gives a request for more than all places all of them", async () => {
    const semaphore = openSemaphore(10);
    using room = await semaphore.acquire({ places: 11 });
    expect(semaphore.inUse()).toBe(10);
  });

  test("serves what is behind a large request that is withdrawn", async () => {
    const semaphore = openSemaphore(10);
    using first = await semaphore.acquire({ places: 6 });
    const controller = new AbortController();
    const large = semaphore.acquire({ places: 7, signal: controller.signal });
    const small = semaphore.acquire({ places: 4 });
    controller.abort(new Error("enough"));
    await expect(large).rejects.toThrow("enough");
    using room = await small;
    expect(semaphore.inUse()).toBe(10);
  });
});

test("a keyed mutex lets different keys run at once, and one key only one after another", async () => {
  const mutex = openKeyedMutex();
  const a = await mutex.acquire("a");
  using b = await mutex.acquire("b");
  let isSecondIn = false;
  const second = mutex.acquire("a").then((place) => {
    isSecondIn = true;
    return place;
  });
  await Promise.resolve();
  expect(isSecondIn).toBe(false);
  a[Symbol.dispose]();
  a[Symbol.dispose]();
  using held = await second;
  expect(isSecondIn).toBe(true);
});
