import { describe, expect, test } from "vitest";

import type { TagRules } from "../../src/config/config.ts";
import type { Observed } from "../../src/plan/action.ts";
import { matchesByName, refuseConflicts, type Rival, wantedTags } from "../../src/plan/conflicts.ts";
import { plan } from "../../src/plan/plan.ts";
import { mirrorOf } from "./mirror.ts";
import { desire, FAILURE, NOW, observe, ours, readOf, TWO, wants } from "./scene.ts";

const mirror = mirrorOf();
const judge = (observed: Observed, ...rivals: Rival[]): readonly { kind: string; tag: string }[] => {
  const made = plan(desire([wants("1"), wants("2")]), observed, mirror, { now: NOW });
  return refuseConflicts(made, mirror, observed.tags, rivals).actions;
};
const known = (...tags: string[]): Rival => ({ kind: "known", mirror: "other", selects: new Set(tags) });
const unknown = (...tags: string[]): Rival => ({
  kind: "unknown",
  mirror: "other",
  matches: new Set(tags),
  failure: FAILURE,
});

describe("a tag that another mirror of the same target selects", () => {
  test.for<[string, Observed]>([
    ["creates", observe()],
    ["keeps", observe({ "1": ours(), "2": ours() })],
    ["updates", observe({ "1": ours({ digest: TWO }), "2": ours({ digest: TWO }) })],
    ["finds back", observe({ "1": ours({ missingSince: NOW.toISOString() }), "2": ours({ digest: TWO }) })],
    [
      "may not touch",
      observe({ "1": ours({ owner: { kind: "other", installation: "x", mirror: "other" } }) }),
    ],
  ])("is refused where we %s it, and the others are not", ([, observed]) => {
    const [one, two] = judge(observed, known("1", "3"));
    expect(one).toMatchObject({
      kind: "refuse",
      ...readOf("1"),
      failure: {
        code: "CONFIG_OVERLAP",
        details: { where: "imagestream:web/nginx:1", found: "nginx and other" },
      },
    });
    expect(two?.kind).not.toBe("refuse");
  });

  test("names every mirror, in one order, whoever asks", () => {
    const third: Rival = { kind: "known", mirror: "a", selects: new Set(["1"]) };
    const [one] = judge(observe(), known("1"), third);
    expect(one).toMatchObject({ failure: { details: { found: "a and nginx and other" } } });
  });

  test("may be pruned by the mirror that gave it up", () => {
    const prune = { graceMs: 0, atMost: { kind: "count", count: 1 } } as const;
    const observed = observe({ "2": ours({ missingSince: "2026-06-01T00:00:00Z" }) });
    const made = plan(desire([wants("1")]), observed, mirrorOf({ prune }), { now: NOW });
    expect(wantedTags(made)).toEqual(["1"]);
    expect(refuseConflicts(made, mirror, observed.tags, [known("2")]).actions).toEqual(made.actions);
  });
});

describe("a tag that another mirror may select, whose source did not tell", () => {
  test("is not written where it is new", () => {
    expect(judge(observe(), unknown("1"))).toMatchObject([
      { kind: "refuse", tag: "1", failure: { code: "OVERLAP_UNKNOWN" } },
      { kind: "create", tag: "2" },
    ]);
  });

  test("goes on where this mirror published it before", () => {
    const observed = observe({ "1": ours(), "2": ours({ digest: TWO }) });
    expect(judge(observed, unknown("1", "2"))).toMatchObject([{ kind: "keep" }, { kind: "update" }]);
  });
});

test.for<[TagRules, string[]]>([
  [{ kind: "exact", tags: ["1", "9"] }, ["1"]],
  [{ kind: "rules", include: [{ kind: "glob", glob: "1*" }], exclude: ["*-rc"] }, ["1", "1.2"]],
  [{ kind: "rules", include: [{ kind: "all" }], exclude: [], sinceMs: 1 }, ["1", "1.2", "1-rc", "2"]],
])("rules %j take %j by their names", ([rules, taken]) => {
  expect([...matchesByName(rules, ["1", "1.2", "1-rc", "2"])]).toEqual(taken);
});
