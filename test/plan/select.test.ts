import { describe, expect, test } from "vitest";

import type { TagRules } from "../../src/config/config.ts";
import type { ListedTag } from "../../src/oci/store.ts";
import { include, narrow, needsDates } from "../../src/plan/select.ts";
import { parseVersion } from "../../src/plan/version.ts";
import { thrownBy } from "../support/thrown.ts";

type Rules = Extract<TagRules, { readonly kind: "rules" }>;
const ALL: Rules = { kind: "rules", include: [{ kind: "all" }], exclude: [] };
const NOW = new Date("2026-06-01T12:00:00Z");
const DAY_MS = 86_400_000;

const listed = (...tags: readonly string[]): ListedTag[] => tags.map((tag) => ({ tag }));
const names = ({ kept }: { readonly kept: readonly ListedTag[] }): string[] => kept.map(({ tag }) => tag);

describe("include", () => {
  test("takes the union of its rules, without what is excluded, and tells which rule decided", () => {
    const rules: Rules = {
      ...ALL,
      include: [
        { kind: "semver", range: ">=1.25 <2" },
        { kind: "glob", glob: "stable*" },
        { kind: "exact", tag: "latest" },
      ],
      exclude: ["*-perl", "stable-otel"],
    };
    const tags = listed("latest", "1.24", "1.25", "1.27-perl", "stable", "stable-otel", "main");
    expect(include(rules, tags).explained).toEqual([
      { tag: "latest", kept: true, rule: "exact: latest" },
      { tag: "1.24", kept: false, rule: "no rule includes it" },
      { tag: "1.25", kept: true, rule: 'semver: ">=1.25 <2"' },
      { tag: "1.27-perl", kept: false, rule: 'exclude: "*-perl"' },
      { tag: "stable", kept: true, rule: 'glob: "stable*"' },
      { tag: "stable-otel", kept: false, rule: 'exclude: "stable-otel"' },
      { tag: "main", kept: false, rule: "no rule includes it" },
    ]);
    expect(names(include(rules, tags))).toEqual(["latest", "1.25", "stable"]);
  });

  const signature = `sha256-${"0".repeat(64)}.sig`;

  test("leaves signatures to the images they sign, unless a rule means them", () => {
    expect(names(include(ALL, listed("1", signature)))).toEqual(["1"]);
    const meant: Rules = { ...ALL, include: [{ kind: "glob", glob: "sha256-*.sig" }] };
    expect(names(include(meant, listed("1", signature)))).toEqual([signature]);
  });

  test("keeps nothing when include and exclude cancel out", () => {
    expect(names(include({ ...ALL, exclude: ["*"] }, listed("1", "2")))).toEqual([]);
  });
});

test.for([
  [{}, false],
  [{ newest: { count: 3, by: "semver" } }, false],
  [{ newest: { count: 3, by: "name" } }, false],
  [{ newest: { count: 3, by: "pushed" } }, true],
  [{ sinceMs: DAY_MS }, true],
] as const)("%j needs dates: %s", ([changes, expected]) =>
  expect(needsDates({ ...ALL, ...changes })).toBe(expected),
);

describe("since", () => {
  test.for([
    ["2026-05-31T12:00:00Z", true],
    ["2026-05-31T11:59:59.999999999Z", false],
    ["2026-05-31T13:30:00+02:00", false],
    ["2026-05-31T10:30:00-02:00", true],
    [undefined, true],
    ["yesterday", true],
  ] as const)("of one day, with a tag pushed at %s: kept is %s", ([pushedAt, kept]) => {
    const dated = [{ tag: "1", ...(pushedAt === undefined ? {} : { pushedAt }) }];
    const { explained } = narrow({ ...ALL, sinceMs: DAY_MS }, dated, { now: NOW });
    expect(explained).toMatchObject([{ tag: "1", kept }]);
  });

  test("is applied before newest", () => {
    const dated = [
      { tag: "3.0", pushedAt: "2020-01-01T00:00:00Z" },
      { tag: "2.0", pushedAt: "2026-06-01T00:00:00Z" },
    ];
    const rules: Rules = { ...ALL, sinceMs: DAY_MS, newest: { count: 1, by: "semver" } };
    expect(names(narrow(rules, dated, { now: NOW }))).toEqual(["2.0"]);
  });
});

const by = (order: "semver" | "pushed" | "name", count: number): Rules => ({
  ...ALL,
  newest: { count, by: order },
});

describe("newest", () => {
  test("by semver counts per variant and drops what is no version", () => {
    const tags = listed("1.9", "1.10", "1.8", "1.9-alpine", "1.10-alpine", "1.2-alpine", "latest");
    const { kept, explained } = narrow(by("semver", 2), tags, { now: NOW });
    expect(kept.map(({ tag }) => tag)).toEqual(["1.9", "1.10", "1.9-alpine", "1.10-alpine"]);
    expect(explained).toContainEqual({
      tag: "latest",
      kept: false,
      rule: "newest: 2, by: semver: it is not a version",
    });
    expect(explained).toContainEqual({ tag: "1.8", kept: false, rule: "newest: 2, by: semver" });
  });

  test("by name counts as people do", () => {
    expect(names(narrow(by("name", 2), listed("build-9", "build-10", "build-2"), { now: NOW }))).toEqual([
      "build-9",
      "build-10",
    ]);
  });

  test("by pushed compares times, whatever zone they are written in", () => {
    const dated = [
      { tag: "a", pushedAt: "2026-05-01T23:00:00+14:00" },
      { tag: "b", pushedAt: "2026-05-01T10:00:00Z" },
      { tag: "c" },
    ];
    expect(names(narrow(by("pushed", 1), dated, { now: NOW }))).toEqual(["b"]);
  });
});

test("more than max is an error with the number and some names, never a cut", () => {
  const tags = listed("1", "2", "3", "4", "5", "6", "7");
  const error = thrownBy(() => narrow({ ...ALL, max: 6 }, tags, { now: NOW }));
  expect(error).toMatchObject({
    code: "TAGS_TOO_MANY",
    details: { found: "7: 1, 2, 3, 4, 5 and others", allowed: 6 },
  });
  expect(names(narrow({ ...ALL, max: 7 }, tags, { now: NOW }))).toHaveLength(7);
});

test("max counts what newest left", () => {
  const rules: Rules = { ...ALL, newest: { count: 1, by: "semver" }, max: 1 };
  expect(names(narrow(rules, listed("1.0", "1.1", "1.2"), { now: NOW }))).toEqual(["1.2"]);
});

/** The same numbers for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("for any rules and tags", () => {
  test.for(Array.from({ length: 60 }, (_, seed) => seed))("of seed %i", (seed) => {
    const random = randomOf(seed);
    const pick = <T>(choices: readonly T[]): T | undefined => choices[random(choices.length)];
    const tags = [
      ...new Set(
        Array.from(
          { length: random(60) },
          () =>
            `${pick(["", "v", "build-"])}${random(4)}.${random(12)}${pick(["", "-alpine", "-rc1", ".1"])}`,
        ),
      ),
    ].map((tag) => ({
      tag,
      ...(random(4) > 0 ? { pushedAt: new Date(NOW.getTime() - random(10) * DAY_MS).toISOString() } : {}),
    }));
    const rules: Rules = {
      kind: "rules",
      include: [
        pick([{ kind: "all" }, { kind: "semver", range: ">=1" }, { kind: "glob", glob: "v*" }] as const),
      ].filter((matcher) => matcher !== undefined),
      exclude: pick([[], ["*-rc*"], ["build-*", "*1*"]]) ?? [],
      ...(random(2) > 0 ? { sinceMs: random(10) * DAY_MS } : {}),
      ...(random(2) > 0
        ? { newest: { count: 1 + random(4), by: pick(["semver", "pushed", "name"]) ?? "name" } }
        : {}),
    };
    const first = include(rules, tags);
    const second = narrow(rules, first.kept, { now: NOW });

    // the tags that are kept were kept by the stage before
    expect(tags).toEqual(expect.arrayContaining([...first.kept]));
    expect(first.kept).toEqual(expect.arrayContaining([...second.kept]));
    // every tag is explained once, with the right decision
    for (const [given, { kept, explained }] of [
      [tags, first],
      [first.kept, second],
    ] as const) {
      expect(explained.map(({ tag }) => tag).toSorted()).toEqual(given.map(({ tag }) => tag).toSorted());
      expect(
        explained
          .filter((one) => one.kept)
          .map(({ tag }) => tag)
          .toSorted(),
      ).toEqual(kept.map(({ tag }) => tag).toSorted());
      expect(explained.every(({ rule }) => rule !== "")).toBe(true);
    }
    // no variant has more than the limit
    const perVariant = Map.groupBy(second.kept, ({ tag }) => parseVersion(tag)?.variant ?? "");
    for (const [, group] of perVariant)
      expect(group.length).toBeLessThanOrEqual(rules.newest?.count ?? Number.POSITIVE_INFINITY);
    // a second run changes nothing
    expect(narrow(rules, second.kept, { now: NOW }).kept).toEqual(second.kept);
  });
});
