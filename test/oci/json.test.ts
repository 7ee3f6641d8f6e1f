import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { parseStrictJson, snippet } from "../../src/oci/json.ts";
import { thrownBy } from "../support/thrown.ts";

const read = (text: string): unknown => parseStrictJson(Buffer.from(text));

describe("parseStrictJson", () => {
  test.for([
    ["{}", {}],
    ["[]", []],
    [
      ' \t\r\n{ "a" : [ 1 , "x" , true , false , null , { } , [ ] ] } \n',
      { a: [1, "x", true, false, null, {}, []] },
    ],
    [String.raw`{"\u0061":"\ud83d\ude00 \" \\ \/ \n"}`, { a: '😀 " \\ / \n' }],
    ['"text"', "text"],
    ["-0", -0],
    ["1e3", 1_000],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
    ['{"":1}', { "": 1 }],
    ['{"a":"}],:{["}', { a: "}],:{[" }],
  ] as const)("reads %s", ([text, expected]) => {
    expect(read(text)).toEqual(expected);
  });

  test.for(["9007199254740993", "9007199254740992", "-9007199254740993", "1.5", "1e400", "1e20"])(
    "rounds no number: %s is none we trust",
    (text) => {
      expect(read(`{"size":${text}}`)).toEqual({ size: Number.NaN });
    },
  );

  test.for([
    '{"a":1,"a":2}',
    String.raw`{"a":1,"\u0061":2}`,
    '{"x":{"a":1,"b":2,"a":1}}',
    '[{"a":1},{"b":1,"b":1}]',
    '{"__proto__":1,"__proto__":2}',
    '{"":1,"":2}',
  ])("refuses %s, where a key stands twice", (text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: "MANIFEST_DUPLICATE_KEY" }));
  });

  test("takes one key in two objects", () => {
    expect(read('{"a":{"a":[{"a":1},{"a":1}]}}')).toEqual({ a: { a: [{ a: 1 }, { a: 1 }] } });
  });

  test("keeps __proto__ a key like any other", () => {
    const value = read('{"__proto__":{"polluted":true},"constructor":1}') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["__proto__", "constructor"]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(value["polluted"]).toBeUndefined();
  });

  test.for([
    ["{", "MANIFEST_NOT_JSON"],
    ["", "MANIFEST_NOT_JSON"],
    ["{} {}", "MANIFEST_NOT_JSON"],
    ["{'a':1}", "MANIFEST_NOT_JSON"],
    ['{"a":1,}', "MANIFEST_NOT_JSON"],
    ['{"a":01}', "MANIFEST_NOT_JSON"],
    ["NaN", "MANIFEST_NOT_JSON"],
    ["<!doctype html><title>Log in</title>", "MANIFEST_NOT_JSON"],
    ['"\u0001"', "MANIFEST_NOT_JSON"],
    ["{\u00a0}", "MANIFEST_NOT_JSON"],
    ["\ufeff{}", "MANIFEST_ENCODING"],
  ] as const)("refuses %j", ([text, code]) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code }));
  });

  test.for([
    ["a lone byte", [0x22, 0xff, 0x22]],
    ["an overlong slash", [0x22, 0xc0, 0xaf, 0x22]],
    ["half a surrogate pair", [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ["UTF-16", [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ] as const)("refuses what is not UTF-8: %s", ([, bytes]) => {
    expect(() => parseStrictJson(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ code: "MANIFEST_ENCODING" }),
    );
  });

  test("reads 64 levels, and refuses the 65th", () => {
    expect(read(nested(64))).toBeInstanceOf(Array);
    expect(() => read(nested(65))).toThrow(expect.objectContaining({ code: "MANIFEST_DEPTH" }));
    expect(() => read(`{"a":`.repeat(64) + "1" + "}".repeat(64))).toThrow(
      expect.objectContaining({ code: "MANIFEST_DEPTH" }),
    );
  });

  test("survives half a million levels", () => {
    expect(() => read(nested(500_000))).toThrow(expect.objectContaining({ code: "MANIFEST_DEPTH" }));
  });

  test("shows the beginning of what came instead", () => {
    const { details } = thrownBy(() => read(`<html>\n  <title>Log   in</title>${"x".repeat(500)}`));
    expect(details["found"]).toMatch(/^<html> <title>Log in<\/title>x{92}…$/);
  });

  test("throws the codes it is given", () => {
    const codes = {
      syntax: "TAGS_INVALID",
      depth: "AUTH_TOKEN",
      duplicate: "DENIED",
      encoding: "USAGE",
    } as const;
    expect(() => parseStrictJson(Buffer.from("{"), { codes })).toThrow(
      expect.objectContaining({ code: "TAGS_INVALID" }),
    );
    expect(() => parseStrictJson(Buffer.from("[[1]]"), { codes, maxDepth: 2 })).toThrow(
      expect.objectContaining({ code: "AUTH_TOKEN" }),
    );
    expect(() => parseStrictJson(Buffer.from('{"a":1,"a":1}'), { codes })).toThrow(
      expect.objectContaining({ code: "DENIED" }),
    );
    expect(() => parseStrictJson(Uint8Array.of(0xff), { codes })).toThrow(
      expect.objectContaining({ code: "USAGE" }),
    );
  });

  test("reads what JSON.parse reads, however it is indented", () => {
    const integers = fc.jsonValue({ maxDepth: 5 }).map((value) => withoutFractions(value));
    fc.assert(
      fc.property(integers, fc.constantFrom("", " ", "\t", "  "), (value, indent) => {
        expect(JSON.stringify(read(JSON.stringify(value, undefined, indent)))).toBe(JSON.stringify(value));
      }),
    );
  });
});

function nested(levels: number): string {
  return `${"[".repeat(levels)}${"]".repeat(levels)}`;
}

function withoutFractions(value: unknown): unknown {
  if (typeof value === "number") return Math.trunc(value % 1e15);
  if (Array.isArray(value)) return value.map(withoutFractions);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutFractions(item)]));
}

test("a snippet is one line of at most 120 characters", () => {
  expect(snippet(" a\n\tb  c ")).toBe("a b c");
  expect(snippet("x".repeat(120))).toBe("x".repeat(120));
  expect(snippet("x".repeat(121))).toBe(`${"x".repeat(120)}…`);
});

describe("on hostile text", () => {
  const shapes: Readonly<Record<string, (bytes: number) => string>> = {
    literals: (bytes) => `[${"1,".repeat(bytes / 2)}1]`,
    spaces: (bytes) => `[${" ".repeat(bytes)}]`,
    "short strings": (bytes) => `[${'"a",'.repeat(bytes / 4)}"a"]`,
    "one long string": (bytes) => `"${"a".repeat(bytes)}"`,
    escapes: (bytes) => `"${String.raw`\n`.repeat(bytes / 2)}"`,
    "empty objects": (bytes) => `[${"{},".repeat(bytes / 3)}{}]`,
    keys: (bytes) => `{${Array.from({ length: bytes / 12 }, (_, index) => `"k${index}":1`).join(",")}}`,
    "numbers as keys": (bytes) =>
      `{${Array.from({ length: bytes / 12 }, (_, index) => `"${index * 1_000_003}":1`).join(",")}}`,
    "no JSON after white space": (bytes) => `${" ".repeat(bytes)}<`,
  };

  test.for(Object.entries(shapes))("the time for %s grows with their length and not faster", ([, shape]) => {
    const cpuMs = (bytes: number): number => {
      const content = Buffer.from(shape(bytes));
      return Math.min(
        ...[1, 2, 3].map(() => {
          const start = process.threadCpuUsage(); // without what the garbage collector does beside us
          try {
            parseStrictJson(content);
          } catch {
            // only the time counts, not the result
          }
          const { user, system } = process.threadCpuUsage(start);
          return (user + system) / 1000;
        }),
      );
    };
    cpuMs(64 * 1024);
    // sixteen times the length: linear is 16, quadratic 256; less than 5 ms is not measured well
    expect(cpuMs(2 * 1024 * 1024) / Math.max(5, cpuMs(128 * 1024))).toBeLessThan(90);
  });

  test("an object has a bounded number of keys", () => {
    const keys = Array.from({ length: 100_001 }, (_, index) => `"k${index}":1`).join(",");
    expect(thrownBy(() => read(`{${keys}}`))).toMatchObject({ code: "MANIFEST_NOT_JSON" });
  });

  test("a long key is cut in the message", () => {
    const key = "k".repeat(1_000_000);
    const error = thrownBy(() => read(`{"${key}":1,"${key}":1}`));
    expect(String(error).length).toBeLessThan(300);
  });

  test("a snippet reads the beginning alone", () => {
    expect(snippet(" ".repeat(10_000_000)).length).toBeLessThan(10);
    expect(snippet("x ".repeat(5_000_000)).length).toBe(121);
  });
});
