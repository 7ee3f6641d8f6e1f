import { expect, test } from "vitest";

import { formatPlatform, matchesPlatform, parsePlatform } from "../../src/oci/platform.ts";

test.for([
  ["linux/amd64", { os: "linux", architecture: "amd64" }],
  ["linux/arm/v7", { os: "linux", architecture: "arm", variant: "v7" }],
  ["linux/arm64/v8", { os: "linux", architecture: "arm64", variant: "v8" }],
  ["windows/amd64", { os: "windows", architecture: "amd64" }],
] as const)("reads %s, and writes it again", ([text, platform]) => {
  expect(parsePlatform(text)).toEqual(platform);
  expect(formatPlatform(platform)).toBe(text);
});

test.for([
  "linux/amd46",
  "linux",
  "amd64",
  "",
  "linux/",
  "/amd64",
  "Linux/amd64",
  "linux/arm/",
  "linux/arm/7",
  "linux/arm/v7/x",
  "linux/x86_64",
  "plan9/amd64",
  "__proto__/amd64",
  "constructor/amd64",
])('refuses "%s", and lists what there is', (text) => {
  expect(() => parsePlatform(text)).toThrow(
    expect.objectContaining({
      code: "CONFIG_PLATFORM",
      details: expect.objectContaining({ allowed: expect.stringContaining("linux/amd64") }),
    }),
  );
});

test.for([
  ["linux/amd64", "linux/amd64", true],
  ["linux/arm", "linux/arm/v7", true],
  ["linux/arm/v7", "linux/arm/v7", true],
  ["linux/arm/v6", "linux/arm/v7", false],
  ["linux/arm64", "linux/arm64/v8", true],
  ["linux/arm64/v8", "linux/arm64", true],
  ["linux/arm64/v9", "linux/arm64", false],
  ["linux/arm/v7", "linux/arm", false],
  ["linux/amd64", "windows/amd64", false],
  ["linux/amd64", "linux/arm64", false],
] as const)("%s asked for, %s there: %s", ([wanted, there, expected]) => {
  expect(matchesPlatform(parsePlatform(wanted), parsePlatform(there))).toBe(expected);
});

test("an attestation is of no platform that can be asked for", () => {
  const unknown = { os: "unknown", architecture: "unknown" };
  expect(matchesPlatform(parsePlatform("linux/amd64"), unknown)).toBe(false);
});
