import { describe, expect, test } from "vitest";

import type { Mirror, TagMatcher } from "../../src/config/config.ts";
import { checkTagRules, compileGlob, compileMatcher, describeMatcher } from "../../src/plan/patterns.ts";
import { thrownBy } from "../support/thrown.ts";
import { mirrorOf } from "./mirror.ts";

describe("a matcher takes", () => {
  test.for([
    [{ kind: "all" }, "latest", true],
    [{ kind: "exact", tag: "1.2" }, "1.2", true],
    [{ kind: "exact", tag: "1.2" }, "1.20", false],
    [{ kind: "glob", glob: "*" }, "1.27-alpine", true],
    [{ kind: "glob", glob: "**" }, "1.27-alpine", true],
    [{ kind: "glob", glob: "*.*" }, "1.27", true],
    [{ kind: "glob", glob: "*.*" }, "127", false],
    [{ kind: "glob", glob: "1.?" }, "1.2", true],
    [{ kind: "glob", glob: "1.?" }, "1.27", false],
    [{ kind: "glob", glob: "1.2" }, "1x2", false],
    [{ kind: "glob", glob: "*-perl" }, "1.27-perl", true],
    [{ kind: "glob", glob: "*-perl" }, "1.27-perl2", false],
    [{ kind: "glob", glob: "[0-9]*" }, "1.27", true],
    [{ kind: "glob", glob: "[0-9]*" }, "v1.27", false],
    [{ kind: "glob", glob: "[!v]*" }, "1.27", true],
    [{ kind: "glob", glob: "[!v]*" }, "v1.27", false],
    [{ kind: "glob", glob: "[^v]*" }, "v1.27", false],
    [{ kind: "glob", glob: "*-{alpine,slim}" }, "1-slim", true],
    [{ kind: "glob", glob: "*-{alpine,slim}" }, "1-bookworm", false],
    [{ kind: "glob", glob: "v{1..3}" }, "v2", true],
    [{ kind: "regex", regex: "v3\\.\\d+" }, "v3.12", true],
    [{ kind: "regex", regex: "v3\\.\\d+" }, "v3.12-rc", false],
    [{ kind: "regex", regex: "1|2" }, "12", false],
    [{ kind: "semver", range: "^1.27" }, "1.30", true],
    [{ kind: "semver", range: "*" }, "latest", false],
  ] as const)("%j of %s: %s", ([matcher, tag, expected]) =>
    expect(compileMatcher(matcher)(tag)).toBe(expected),
  );
});

test("used as a filter a glob takes only what it matches", () => {
  expect(["1.2", "latest", "1.3"].filter(compileGlob("1.*"))).toEqual(["1.2", "1.3"]);
});

describe("what cannot be a rule is refused by its code", () => {
  test.for([
    [{ kind: "glob", glob: "" }, "CONFIG_FILTER"],
    [{ kind: "glob", glob: "[a" }, "CONFIG_FILTER"],
    [{ kind: "glob", glob: "{a,b" }, "CONFIG_FILTER"],
    [{ kind: "glob", glob: "[z-a]" }, "CONFIG_FILTER"],
    [{ kind: "glob", glob: "a/b" }, "CONFIG_FILTER"],
    [{ kind: "glob", glob: "@(a|b)" }, "CONFIG_FILTER"],
    [{ kind: "glob", glob: "a".repeat(1001) }, "CONFIG_FILTER"],
    [{ kind: "semver", range: "newest" }, "CONFIG_FILTER"],
    [{ kind: "regex", regex: "v(1" }, "CONFIG_REGEX"],
    [{ kind: "regex", regex: "*" }, "CONFIG_REGEX"],
    [{ kind: "regex", regex: "((a{100}){100}){100}" }, "CONFIG_REGEX"],
    [{ kind: "regex", regex: "(?=1).*" }, "CONFIG_REGEX_UNSAFE"],
    [{ kind: "regex", regex: "(?!rc).*" }, "CONFIG_REGEX_UNSAFE"],
    [{ kind: "regex", regex: ".*(?<!rc)" }, "CONFIG_REGEX_UNSAFE"],
    [{ kind: "regex", regex: "(a)\\1" }, "CONFIG_REGEX_UNSAFE"],
    [{ kind: "regex", regex: "a".repeat(1001) }, "CONFIG_REGEX_UNSAFE"],
  ] as const)("%j: %s", ([matcher, code]) => expect(thrownBy(() => compileMatcher(matcher)).code).toBe(code));

  test("a regular expression tells where it is wrong", () => {
    expect(thrownBy(() => compileMatcher({ kind: "regex", regex: "v1[z-a]" })).details["found"]).toMatch(
      /z-a.*\(at character 4\)/,
    );
  });
});

test.for<TagMatcher>([
  { kind: "regex", regex: "^(.*a){12}$" },
  { kind: "regex", regex: "(a+)+b" },
  { kind: "glob", glob: `${"*a".repeat(40)}*b` },
])("%j on a long tag is answered in linear time", (matcher) => {
  expect(compileMatcher(matcher)(`${"a".repeat(127)}!`)).toBe(false);
});

test("every rule of every mirror that cannot be compiled is named with its place and value", () => {
  const mirrors: Mirror[] = [
    mirrorOf({ tags: { kind: "exact", tags: ["1"] } }),
    mirrorOf({
      tags: {
        kind: "rules",
        include: [
          { kind: "regex", regex: "ok.*" },
          { kind: "regex", regex: "(" },
          { kind: "semver", range: "x.y.z.q" },
        ],
        exclude: ["[a"],
      },
    }),
  ];
  expect(checkTagRules({ mirrors })).toMatchObject([
    { path: ["mirrors", 1, "tags", "regex"], value: "(", code: "CONFIG_REGEX" },
    { path: ["mirrors", 1, "tags", "semver"], value: "x.y.z.q", code: "CONFIG_FILTER" },
    { path: ["mirrors", 1, "tags", "exclude"], value: "[a", code: "CONFIG_FILTER" },
  ]);
});

test("rules are told as the configuration writes them", () => {
  expect(
    (
      [
        { kind: "all" },
        { kind: "exact", tag: "1.2" },
        { kind: "glob", glob: "1.*" },
        { kind: "regex", regex: "\\d+" },
        { kind: "semver", range: ">=1 <2" },
      ] as const
    ).map(describeMatcher),
  ).toEqual(["all: true", "exact: 1.2", 'glob: "1.*"', 'regex: "\\d+"', 'semver: ">=1 <2"']);
});
