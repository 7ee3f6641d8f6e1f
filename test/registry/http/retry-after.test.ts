import { expect, test } from "vitest";

import { parseRetryAfter } from "../../../src/registry/http/retry-after.ts";

const NOW = new Date("2026-03-01T12:00:00Z");
const HOUR_MS = 3_600_000;

const inMs = (headers: Record<string, string | string[]>, text = ""): number | undefined => {
  const at = parseRetryAfter(headers, text, NOW);
  return at && at.getTime() - NOW.getTime();
};

test.for([
  ["120", 120_000],
  ["0", 0],
  [" 7 ", 7_000],
  ["1.5", 1_500],
  ["36000", 10 * HOUR_MS],
  ["9999999999", 24 * HOUR_MS],
  ["Sun, 01 Mar 2026 12:05:00 GMT", 300_000],
  ["Sun, 01 Mar 2026 11:00:00 GMT", 0],
  ["soon", undefined],
  ["", undefined],
  ["-5x", undefined],
] as const)("reads Retry-After: %s as %s ms", ([value, ms]) => {
  expect(inMs({ "retry-after": value })).toBe(ms);
});

test("takes the first of several headers", () => {
  expect(inMs({ "retry-after": ["3", "9"] })).toBe(3_000);
});

test("reads Docker Hub's epoch", () => {
  expect(inMs({ "x-retry-after": String(NOW.getTime() / 1000 + 60) })).toBe(60_000);
});

test.for([
  ["retry-after: 880.092µs, allowed: 44000/minute", 1],
  ["retry-after: 2m30s", 150_000],
  ["retry-after: 1h0m0.5s", HOUR_MS + 500],
] as const)("reads GHCR's text %s as %s ms", ([text, ms]) => {
  expect(Math.abs((inMs({}, text) ?? -10) - ms)).toBeLessThanOrEqual(1);
});

test("reads nothing from a text without a duration", () => {
  expect(inMs({}, "retry later")).toBeUndefined();
});
