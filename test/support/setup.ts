import { afterEach, beforeEach, expect, vi } from "vitest";

/** A test that prints what it did not expect fails: warnings are part of the behaviour. */
beforeEach(() => {
  vi.spyOn(console, "warn");
  vi.spyOn(console, "error");
});

afterEach(() => {
  expect(vi.mocked(console.warn).mock.calls, "unexpected console.warn").toEqual([]);
  expect(vi.mocked(console.error).mock.calls, "unexpected console.error").toEqual([]);
  vi.restoreAllMocks();
});
