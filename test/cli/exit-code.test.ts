import { describe, expect, test } from "vitest";

import { exitCodeOfError, exitCodeOfFailures } from "../../src/cli/exit-code.ts";
import type { ErrorCode } from "../../src/errors/codes.ts";
import { failureOf, TagferryError } from "../../src/errors/error.ts";

const failures = (...codes: readonly ErrorCode[]) =>
  codes.map((code) => failureOf(new TagferryError(code, "x")));

describe("the exit code of a run", () => {
  test.for<[readonly ErrorCode[], boolean, number]>([
    [[], true, 0],
    [[], false, 0],
    [["MANIFEST_UNKNOWN"], true, 1],
    [["AUTH_DENIED"], true, 1],
    [["MANIFEST_UNKNOWN"], false, 2],
    [["AUTH_DENIED", "MANIFEST_UNKNOWN"], false, 2],
    [["AUTH_DENIED", "CLUSTER_DENIED"], false, 4],
    [["STREAM_OWNED"], true, 5],
    [["STREAM_OWNED", "STREAM_CONTESTED"], false, 5],
    [["STREAM_OWNED", "MANIFEST_UNKNOWN"], true, 1],
  ])("with the failures %j, and other work good: %s, is %s", ([codes, good, code]) => {
    expect(exitCodeOfFailures(failures(...codes), { good })).toBe(code);
  });
});

describe("the exit code of a command that could not start", () => {
  test.for<[ErrorCode, number]>([
    ["CONFIG_INVALID", 3],
    ["NODE_VERSION", 3],
    ["AUTH_DENIED", 4],
    ["STREAM_OWNED", 5],
    ["REGISTRY_DNS", 2],
    ["TARGET_REJECTED", 2],
    ["DISK_FULL", 2],
  ])("for %s is %s", ([code, exit]) => {
    expect(exitCodeOfError(new TagferryError(code, "x"))).toBe(exit);
  });

  test("for a bug is 2", () => {
    expect(exitCodeOfError(new Error("x"))).toBe(2);
  });
});
