import { setImmediate } from "node:timers/promises";

import { expect, test } from "vitest";

import { inProcessLease } from "../../src/limits/in-process-lease.ts";

test("one holder at a time, the others in the order they came", async () => {
  const lease = inProcessLease();
  const story: string[] = [];
  await Promise.all(
    ["a", "b", "c"].map(async (name) => {
      using held = await lease.acquire("key");
      story.push(`${name} begins`);
      await setImmediate();
      story.push(`${name} ends`);
      expect(held).toBeDefined();
    }),
  );
  expect(story).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("another key waits for nobody", async () => {
  const lease = inProcessLease();
  using one = await lease.acquire("one");
  using other = await lease.acquire("other");
  expect(one).not.toBe(other);
});

test("who gives up waiting leaves the line, and those behind still wait for the holder", async () => {
  const lease = inProcessLease();
  const holder = await lease.acquire("key");
  const stop = new AbortController();
  const leaving = lease.acquire("key", { signal: stop.signal });
  let behind = false;
  const waiting = lease.acquire("key").then((held) => {
    behind = true;
    return held;
  });
  stop.abort(new Error("enough"));
  await expect(leaving).rejects.toThrow("enough");
  await setImmediate();
  expect(behind).toBe(false);
  holder[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
  expect(behind).toBe(true);
});

test("a signal that has aborted already takes nothing", async () => {
  const lease = inProcessLease();
  await expect(lease.acquire("key", { signal: AbortSignal.abort(new Error("late")) })).rejects.toThrow(
    "late",
  );
  using held = await lease.acquire("key");
  expect(held).toBeDefined();
});

test("given back twice is given back once", async () => {
  const lease = inProcessLease();
  const first = await lease.acquire("key");
  first[Symbol.dispose]();
  const second = await lease.acquire("key");
  first[Symbol.dispose]();
  let third = false;
  const waiting = lease.acquire("key").then((held) => {
    third = true;
    return held;
  });
  await setImmediate();
  expect(third).toBe(false);
  second[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
});

test("the next holder learns which target got the blob", async () => {
  const lease = inProcessLease();
  {
    using first = await lease.acquire("registry/sha256:1");
    expect(first.pushedTo).toBeUndefined();
    first.setPushedTo("registry/one");
  }
  using second = await lease.acquire("registry/sha256:1");
  expect(second.pushedTo).toBe("registry/one");
  using other = await lease.acquire("registry/sha256:2");
  expect(other.pushedTo).toBeUndefined();
});
