import { expect, test } from "vitest";

import {
  formatDuration,
  formatPart,
  formatRelative,
  formatRoughly,
  shorten,
} from "../../../src/cli/terminal/units.ts";

const NOW = Date.parse("2026-11-24T12:00:00Z");

test.for([
  ["2026-11-24T12:00:00Z", "now"],
  ["2026-11-24T11:59:48Z", "12 s ago"],
  ["2026-11-24T11:30:00Z", "30 min ago"],
  ["2026-11-24T14:00:00Z", "in 2 h"],
  ["2026-11-20T12:00:00Z", "4 d ago"],
  ["never", "never"],
])("%s is %s", ([iso = "", text]) => {
  expect(formatRelative(iso, NOW)).toBe(text);
});

test.for([
  [400, "0.4 s"],
  [9_960, "10 s"],
  [59_400, "59 s"],
  [119_600, "2 min 0 s"],
  [7_500_000, "2 h 5 min"],
] as const)("%i ms are %s", ([durationMs, text]) => {
  expect(formatDuration(durationMs)).toBe(text);
});

test("a part has the unit of its total", () => {
  expect(formatPart(512 * 1024, 10 * 1024 * 1024)).toBe("0.5/10.0 MiB");
  expect(formatPart(3, 10)).toBe("3/10 B");
  expect(formatRoughly(200_000)).toBe("3 min");
});

test.for([
  ["web/nginx:1.27", 20, "web/nginx:1.27"],
  ["registry.corp.example/team/nginx:1.27", 20, "registr…m/nginx:1.27"],
  ["abcdef", 2, "…f"],
  ["abcdef", 1, "a"],
  ["abcdef", 0, ""],
] as const)("%s in %i columns is %s", ([text, width, short]) => {
  const shown = shorten(text, width);
  expect(shown.length).toBeLessThanOrEqual(width);
  expect(shown).toBe(short);
});
