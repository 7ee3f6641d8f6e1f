import { expect, test } from "vitest";

import { sleep, within } from "../../src/lib/cancel.ts";

test("sleep throws the reason of its signal, whenever that aborts", async () => {
  const stop = new AbortController();
  const sleeping = sleep(1_000_000, { signal: stop.signal });
  stop.abort(new Error("enough"));
  await expect(sleeping).rejects.toThrow("enough");
  await expect(sleep(0, { signal: stop.signal })).rejects.toThrow("enough");
});

test("sleep ends by itself", async () => {
  expect(await sleep(1)).toBeUndefined();
});

test("within aborts with the signal it was given, or after its time", async () => {
  const stop = new AbortController();
  const long = within(1_000_000, { signal: stop.signal });
  expect(long.aborted).toBe(false);
  stop.abort(new Error("enough"));
  expect(long.reason).toEqual(new Error("enough"));
  await expect(sleep(1_000_000, { signal: within(1) })).rejects.toMatchObject({ name: "TimeoutError" });
});
