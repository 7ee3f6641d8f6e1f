import { describe, expect, test } from "vitest";

import type { PruneRules } from "../../src/config/config.ts";
import type { Desired, Observed, ObservedTag } from "../../src/plan/action.ts";
import { plan } from "../../src/plan/plan.ts";
import { mirrorOf } from "./mirror.ts";
import { DAY_MS, FAILURE, NOW, ONE, desire, observe, ours, readOf, wants } from "./scene.ts";

const gone = (missingSince?: string): ObservedTag => ours(missingSince ? { missingSince } : {});

describe("pruning", () => {
  const LONG_AGO = "2026-06-01T00:00:00Z";
  const PRUNE: PruneRules = { graceMs: 7 * DAY_MS, atMost: { kind: "count", count: 5 } };
  const removals = (
    observed: Observed["tags"],
    { prune = PRUNE, desired = desire([wants("1")]) }: { prune?: PruneRules; desired?: Desired } = {},
  ): ReturnType<typeof plan> => {
    const made = plan(desired, observe({ "1": ours(), ...observed }), mirrorOf({ prune }), { now: NOW });
    return { ...made, actions: made.actions.filter(({ tag }) => tag !== "1") };
  };

  test("first remembers, then waits, then removes", () => {
    expect(removals({ old: gone() }).actions).toMatchObject([
      { kind: "remember", tag: "old", missingSince: NOW.toISOString() },
    ]);
    expect(removals({ old: gone("2026-06-04T00:00:00Z") }).actions).toEqual([]);
    expect(removals({ old: gone(LONG_AGO) }).actions).toMatchObject([
      { kind: "prune", tag: "old", digest: ONE, missingSince: LONG_AGO },
    ]);
  });

  test("waits when the date it remembered cannot be read", () => {
    expect(removals({ old: gone("soon") }).actions).toEqual([]);
  });

  test("tells the rule that dropped the tag, or that the source lacks it", () => {
    const desired = desire([wants("1")], {
      explained: [{ tag: "old", kept: false, rule: "newest: 3, by: semver" }],
    });
    const { actions } = removals({ old: gone(LONG_AGO), lost: gone(LONG_AGO) }, { desired });
    expect(actions.map((action) => "reason" in action && action.reason)).toEqual([
      `dropped by newest: 3, by: semver, unwanted since ${LONG_AGO}`,
      `gone at the source, unwanted since ${LONG_AGO}`,
    ]);
  });

  test.for<[string, Desired]>([
    ["listing was empty", desire([], { listing: "empty" })],
    ["listing failed", desire([wants("1")], { listing: "failed" })],
    ["tags were named and nothing was listed", desire([wants("1")], { listing: "none" })],
    ["rules select nothing", desire([])],
    ["tags could all not be resolved", desire([{ kind: "failed", ...readOf("1"), failure: FAILURE }])],
    ["tags are all missing", desire([{ kind: "missing", ...readOf("1") }])],
  ])("removes and remembers nothing when the %s", ([, desired]) => {
    expect(removals({ old: gone(LONG_AGO), older: gone() }, { desired }).actions).toEqual([]);
  });

  test("never happens unless it is asked for", () => {
    const { actions } = plan(desire([wants("1")]), observe({ old: gone(LONG_AGO) }), mirrorOf(), {
      now: NOW,
    });
    expect(actions.map(({ tag }) => tag)).toEqual(["1"]);
  });

  test.for<ObservedTag["owner"]>([
    { kind: "unowned" },
    { kind: "other", installation: "prod", mirror: "nginx" },
    { kind: "other", installation: "here", mirror: "another" },
  ])("never touches a tag of owner %j", (owner) => {
    expect(removals({ old: { ...gone(LONG_AGO), owner } }).actions).toEqual([]);
  });

  test("spares a wanted tag that failed", () => {
    const desired = desire([wants("1"), { kind: "failed", ...readOf("old"), failure: FAILURE }]);
    expect(removals({ old: gone(LONG_AGO) }, { desired }).actions).toMatchObject([{ kind: "refuse" }]);
  });

  test.for<[PruneRules["atMost"], number]>([
    [{ kind: "count", count: 2 }, 0],
    [{ kind: "count", count: 3 }, 3],
    [{ kind: "share", share: 0.2 }, 0],
    [{ kind: "share", share: 0.75 }, 3],
  ])("of three among four is held to %j: %i are removed", ([atMost, removed]) => {
    const { actions, warnings } = removals(
      { a: gone(LONG_AGO), b: gone(LONG_AGO), c: gone(LONG_AGO) },
      { prune: { ...PRUNE, atMost } },
    );
    expect(actions.filter(({ kind }) => kind === "prune")).toHaveLength(removed);
    expect(warnings.map(({ code }) => code)).toEqual(removed === 0 ? ["PRUNE_CAPPED"] : []);
  });

  test("a cap that holds still lets new absences be remembered", () => {
    const { actions } = removals(
      { a: gone(LONG_AGO), b: gone() },
      { prune: { ...PRUNE, atMost: { kind: "count", count: 0 } } },
    );
    expect(actions).toMatchObject([{ kind: "remember", tag: "b" }]);
  });
});
