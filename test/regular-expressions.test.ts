import { globSync, readFileSync } from "node:fs";

import scslre from "scslre";
import { describe, expect, test } from "vitest";

import { regExpsOf } from "./support/regular-expressions.ts";

/**
 * Expressions that are built at run time, so that this test cannot read them. Each has the reason why it is allowed.
 */
const MADE_AT_RUN_TIME: Readonly<Record<string, string>> = {
  "new RegExp(`^${SECRET_KEY}$`": "reads keys of the operator's own configuration",
  "new RegExp(`(?<=[{,]\\\\s*[\"']?${SECRET_KEY}": "reads lines of the operator's own configuration",
  "new RegExp(`(?<=^[\\\\s-]*[\"']?${SECRET_KEY}": "reads lines of the operator's own configuration",
};

const FILES = globSync("src/**/*.ts").map((file) => file.replaceAll("\\", "/"));

/** The parts of an expression that need more than linear time. Empty: there are none. */
function slowParts(source: string, flags: string): readonly string[] {
  return scslre
    .analyse({ source, flags }, { reportTypes: { Move: true, Self: true, Trade: true } })
    .reports.map(({ type, exponential, character }) => {
      const how = { Move: "begins anew at every", Self: "repeats what repeats", Trade: "shares among two" }[
        type
      ];
      return `${how} ${JSON.stringify(character.pick)}${exponential ? ", exponentially" : ""}`;
    });
}

describe("the regular expressions of src", () => {
  test("take linear time: no nested or adjacent quantifiers over the same characters", () => {
    const slow = FILES.flatMap((file) =>
      regExpsOf(readFileSync(file, "utf8")).flatMap(({ pattern, flags, line }) =>
        slowParts(pattern, flags).map((part) => `${file}:${line} /${pattern}/${flags} ${part}`),
      ),
    );
    expect(slow).toEqual([]);
  });

  test("are literals, but for those with a reason", () => {
    const made = FILES.flatMap((file) =>
      readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => /(?<![\w.])RegExp\(/.test(line)),
    );
    const known = Object.keys(MADE_AT_RUN_TIME);
    expect(made.filter((line) => !known.some((one) => line.includes(one)))).toEqual([]);
    expect(known.filter((one) => !made.some((line) => line.includes(one)))).toEqual([]);
  });
});

test.for(["(?:a+)+$", "a+a+$", String.raw`\s*,?\s*;`, String.raw`<[^>]*>!`, String.raw`\s+$`])(
  "calls /%s/ slow",
  (pattern) => {
    expect(slowParts(pattern, "")).not.toEqual([]);
  },
);

test.for(["^a+b+$", String.raw`^\d+(?:\.\d+)*$`, "(?<!a)a+$", "[^a]*"])("lets /%s/ be", (pattern) => {
  expect(slowParts(pattern, "")).toEqual([]);
});

test("finds each literal of a source, and no division", () => {
  const source = [
    "// a /comment/",
    "const a = b / c / d, e = /one[/]\\/x/gi;",
    'const s = "/no/" + `/no/ ${f(/two/)} /no/`;',
    "if (x) return /three/.test(y) || (z) / 2 / 1;",
    "/* /no/ */ call(/four`'\"/, [1][0] / 2 / 3);",
  ].join("\n");
  expect(regExpsOf(source).map(({ pattern, flags, line }) => `${line} ${pattern} ${flags}`.trim())).toEqual([
    "2 one[/]\\/x gi",
    "3 two",
    "4 three",
    "5 four`'\"",
  ]);
});
