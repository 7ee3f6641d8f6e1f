import { expect, test } from "vitest";

import { openGroup } from "../../src/copy/group.ts";

test("gives what its tasks gave, in their order", async () => {
  const group = openGroup(undefined);
  expect(await group.all([Promise.resolve(1), Promise.resolve(2)])).toEqual([1, 2]);
  expect(group.signal.aborted).toBe(false);
});

test("tells the others to stop, waits for them, and throws the first failure", async () => {
  const group = openGroup(undefined);
  let stopped = false;
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  group.signal.addEventListener("abort", () => resolve());
  const slow = aborted.then(async () => {
    await new Promise((later) => setImmediate(later));
    stopped = true;
    throw new Error("the second");
  });
  await expect(group.all([slow, Promise.reject(new Error("the first"))])).rejects.toThrow("the first");
  expect(stopped).toBe(true);
});

test("throws the reason of the signal it was opened with, when that comes first", async () => {
  const stop = new AbortController();
  const group = openGroup(stop.signal);
  const { promise, reject } = Promise.withResolvers<never>();
  group.signal.addEventListener("abort", () => reject(new Error("wrapped by an adapter")));
  const ending = group.all([promise]);
  stop.abort(new Error("the caller"));
  await expect(ending).rejects.toThrow("the caller");
});
