import { afterEach, beforeEach, expect, vi } from "vitest";

/** A test with unexpected output fails, because warnings are part of the behaviour. */
beforeEach(() => {
  vi.spyOn(console, "warn");
  vi.spyOn(console, "error");
});

afterEach(() => {
  expect(vi.mocked(console.warn).mock.calls, "unexpected console.warn").toEqual([]);
  expect(vi.mocked(console.error).mock.calls, "unexpected console.error").toEqual([]);
  vi.restoreAllMocks();
});
