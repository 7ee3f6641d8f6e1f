import { describe, expect, test } from "vitest";

import { ERROR_CODES, type ErrorCode } from "../../src/errors/codes.ts";
import { asTagferryError, facts, failureOf, isTagferryError, TagferryError } from "../../src/errors/error.ts";
import { printable } from "../../src/lib/error.ts";

test.for(Object.keys(ERROR_CODES) as ErrorCode[])("%s says what it means and what to do next", (code) => {
  expect(code).toMatch(/^[A-Z][A-Z0-9_]*$/);
  const { meaning, next } = facts(code);
  expect(meaning).toMatch(/^\S.*\.$/);
  expect(next).toMatch(/^\S.{4,}$/);
});

describe("a TagferryError", () => {
  const cause = new Error("socket");
  const error = new TagferryError("STALLED", "pull a", { cause, where: "a:v1", found: 3 });

  test("keeps its code, its facts and its cause", () => {
    expect(error).toMatchObject({ code: "STALLED", details: { where: "a:v1", found: 3 }, cause });
    expect("cause" in error.details).toBe(false);
    expect("cause" in new TagferryError("STALLED", "pull a")).toBe(false);
  });

  test("is known by its code", () => {
    expect(isTagferryError(error)).toBe(true);
    expect(isTagferryError(error, "RANGE", "STALLED")).toBe(true);
    expect(isTagferryError(error, "RANGE")).toBe(false);
    expect(isTagferryError(new Error("STALLED"))).toBe(false);
    expect(isTagferryError({ code: "STALLED" })).toBe(false);
  });

  test("becomes a plain failure with its code's advice, or its own", () => {
    expect(failureOf(error)).toEqual({
      code: "STALLED",
      message: "pull a",
      next: ERROR_CODES.STALLED.next,
      details: { where: "a:v1", found: 3 },
    });
    const advised = failureOf(new TagferryError("STALLED", "pull a", { next: "Wait." }));
    expect(advised).toEqual({ code: "STALLED", message: "pull a", next: "Wait.", details: {} });
    expect(structuredClone(advised)).toEqual(advised);
  });
});

test.for([
  [new TagferryError("RANGE", "x"), "RANGE"],
  [AbortSignal.abort().reason, "ABORTED"],
  [new DOMException("late", "TimeoutError"), "ABORTED"],
  [new TypeError("x is undefined"), "INTERNAL"],
  ["a text", "INTERNAL"],
  [new SuppressedError(new Error("closing"), new TagferryError("RANGE", "x")), "RANGE"],
  [undefined, "INTERNAL"],
] as const)("whatever is thrown becomes one: %s is %s", ([thrown, code]) => {
  expect(asTagferryError(thrown).code).toBe(code);
});

describe("printable", () => {
  test.for([
    ["plain é ☃ 😀", "plain é ☃ 😀"],
    ["two\nlines\tand a tab", "two\nlines\tand a tab"],
    ["\u001b[31mred\u001b[0m", String.raw`\u001b[31mred\u001b[0m`],
    ["over\rwritten", String.raw`over\u000dwritten`],
    ["a\u0000b\u0007c\u007fd\u009be", String.raw`a\u0000b\u0007c\u007fd\u009be`],
    ["evil\u202Etxt.exe", String.raw`evil\u202etxt.exe`],
    ["\u2066a\u2069\u200f\u2028\u2029", String.raw`\u2066a\u2069\u200f\u2028\u2029`],
  ] as const)("shows %j as %j", ([text, expected]) => {
    expect(printable(text)).toBe(expected);
  });

  test("bounds the length", () => {
    expect(printable("x".repeat(2_001))).toBe(`${"x".repeat(2_000)}…`);
    expect(printable("x".repeat(2_000))).toBe("x".repeat(2_000));
    expect(printable("abcdef", { maxLength: 3 })).toBe("abc…");
  });

  test("a failure's message is printable", () => {
    expect(failureOf(new TagferryError("STALLED", "a\u001b]0;b")).message).toBe(String.raw`a\u001b]0;b`);
  });
});
