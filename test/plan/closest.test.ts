import { expect, test } from "vitest";

import type { TagRules } from "../../src/config/config.ts";
import { closestRule } from "../../src/plan/closest.ts";

const rules = (...include: Extract<TagRules, { kind: "rules" }>["include"]): TagRules => ({
  kind: "rules",
  include,
  exclude: [],
});

const RANGE = { kind: "semver", range: ">=1.9 <2" } as const;
const GLOB = { kind: "glob", glob: "v1.2*" } as const;

test.for([
  [rules(RANGE), "1.2", 'semver: ">=1.9 <2", but it is older'],
  [rules(RANGE), "3", 'semver: ">=1.9 <2", but it is newer'],
  [rules(RANGE), "1.10-rc1", 'semver: ">=1.9 <2", but prereleases match only a range that names one'],
  [rules({ kind: "semver", range: "1.x || 3.x" }), "2.0", 'semver: "1.x || 3.x", but it is in a gap'],
  [rules(RANGE), "main", 'semver: ">=1.9 <2", but it is not a version'],
  [rules(RANGE, GLOB), "v1.3-slim", 'semver: ">=1.9 <2", but it is older'],
  [rules(RANGE, GLOB), "v1.x-slim", 'glob: "v1.2*", but the tag begins with "v1.x"'],
  [rules(GLOB), "latest", undefined],
  [rules({ kind: "regex", regex: "a+" }), "b", undefined],
  [{ kind: "exact", tags: ["latest", "stable"] }, "stage", 'exact: stable, but the tag begins with "stag"'],
] as const)("%j: to %s, %s is closest", ([of, tag, closest]) => {
  expect(closestRule(of, tag)).toBe(closest);
});
