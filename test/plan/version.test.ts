import semver from "semver";
import { describe, expect, test } from "vitest";

import { compareVersions, inRange, parseVersion } from "../../src/plan/version.ts";

const version = (tag: string): NonNullable<ReturnType<typeof parseVersion>> => {
  const parsed = parseVersion(tag);
  if (!parsed) throw new Error(`${tag} is no version`);
  return parsed;
};

describe("tags of real repositories are read as versions", () => {
  test.for([
    ["1.27", { numbers: [1, 27], variant: "" }],
    ["1.27.3-alpine", { numbers: [1, 27, 3], variant: "alpine" }],
    ["v2.0", { numbers: [2, 0], variant: "" }],
    ["2024.01.05", { numbers: [2024, 1, 5], variant: "" }],
    ["1.27-alpine3.19", { numbers: [1, 27], variant: "alpine3.19" }],
    ["3.12.1-slim-bookworm", { numbers: [3, 12, 1], variant: "slim-bookworm" }],
    ["10.0.17763.5458-amd64", { numbers: [10, 0, 17763, 5458], variant: "amd64" }],
    ["8u392-jre", { numbers: [8, 0, 392], variant: "jre" }],
    ["8u392-b08-jre", { numbers: [8, 0, 392], variant: "b08-jre" }],
    ["1.28-rc1", { numbers: [1, 28], prerelease: "rc1", variant: "" }],
    ["1.28-rc1-alpine", { numbers: [1, 28], prerelease: "rc1", variant: "alpine" }],
    ["2.0.0-beta.3", { numbers: [2, 0, 0], prerelease: "beta.3", variant: "" }],
    ["2.0.0-M2", { numbers: [2, 0, 0], prerelease: "m2", variant: "" }],
    ["4.1.0-SNAPSHOT", { numbers: [4, 1, 0], prerelease: "snapshot", variant: "" }],
    ["3.14.0rc2-slim", { numbers: [3, 14, 0], prerelease: "rc2", variant: "slim" }],
    ["3.14.0b1", { numbers: [3, 14, 0], prerelease: "b1", variant: "" }],
    ["1.27-management", { numbers: [1, 27], variant: "management" }],
    ["1.27-release", { numbers: [1, 27], variant: "release" }],
  ] as const)("%s", ([tag, expected]) => expect(parseVersion(tag)).toEqual(expected));

  test.for(["latest", "main", "alpine", "1.2.3.4.5", "a1b2c3d", "1.x", "sha-1a2b", "", "v", "1..2"])(
    "%s is none",
    (tag) => expect(parseVersion(tag)).toBeUndefined(),
  );
});

describe("a range takes", () => {
  test.for([
    [">=1.25 <2", "1.27", true],
    [">=1.25 <2", "1.25-alpine", true],
    [">=1.25 <2", "2.0", false],
    [">=1.25 <2", "1.24.9", false],
    ["^1.27", "1.30.1", true],
    ["^1.27", "2.0.0", false],
    ["~3.11", "3.11.9-slim", true],
    ["~3.11", "3.12", false],
    ["1.x", "1.9", true],
    [">=2024.1.1", "2024.01.05", true],
    ["8.x", "8u392-jre", true],
    ["~10.0.17763", "10.0.17763.5458", true],
    [">=1.25 <2", "1.28-rc1", false],
    [">=1.25", "3.14.0rc2", false],
    [">=1.28.0-0", "1.28-rc1", true],
    [">=1.28.0-rc.2", "1.28-rc10", true],
    [">=1.28.0-rc.2", "1.28-rc1", false],
  ] as const)("%s of %s: %s", ([range, tag, expected]) =>
    expect(inRange(version(tag), new semver.Range(range))).toBe(expected),
  );
});

test("newer versions stand first, releases before their prereleases, full numbers before partial ones", () => {
  const newestFirst = [
    "2024.01.05",
    "10.0.17763.5458",
    "10.0.17763",
    "2.0.0",
    "2.0",
    "2.0.0-rc10",
    "2.0.0-rc2",
    "2.0.0-rc.1",
    "2.0.0-beta.3",
    "1.27.10",
    "1.27.9",
  ];
  const sorted = newestFirst
    .toReversed()
    .toSorted((one, other) => compareVersions(version(one), version(other)));
  expect(sorted).toEqual(newestFirst);
});

test("absurd numbers are compared without failing", () => {
  const absurd = version(`1.0-rc${"9".repeat(60)}`);
  expect(compareVersions(absurd, version("1.0-rc1"))).toBeTypeOf("number");
  expect(inRange(absurd, new semver.Range("*"))).toBe(false);
});
