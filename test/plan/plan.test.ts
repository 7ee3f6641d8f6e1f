import { describe, expect, test } from "vitest";

import type { Mirror, PruneRules } from "../../src/config/config.ts";
import { failureOf, TagferryError } from "../../src/errors/error.ts";
import type { Digest } from "../../src/oci/digest.ts";
import {
  type Action,
  clashes,
  type Desired,
  type DesiredTag,
  type Observed,
  type ObservedTag,
  plan,
} from "../../src/plan/plan.ts";
import { mirrorOf } from "./mirror.ts";

const NOW = new Date("2026-06-10T00:00:00Z");
const ONE: Digest = `sha256:${"1".repeat(64)}`;
const TWO: Digest = `sha256:${"2".repeat(64)}`;
const DAY_MS = 86_400_000;
const FAILURE = failureOf(new TagferryError("REGISTRY_UNAVAILABLE", "no answer"));

const wants = (tag: string, digest: Digest = ONE): DesiredTag => ({
  kind: "resolved",
  tag,
  image: { mediaType: "application/vnd.oci.image.index.v1+json", digest, size: 500 },
});
const desire = (tags: readonly DesiredTag[], changes: Partial<Desired> = {}): Desired => ({
  mirror: "nginx",
  tags,
  explained: tags.map(({ tag }) => ({ tag, kept: true, rule: "all: true" })),
  listing: "complete",
  ...changes,
});
const observe = (tags: Observed["tags"] = {}): Observed => ({ mirror: "nginx", tags });
const ours = (changes: Partial<ObservedTag> = {}): ObservedTag => ({
  digest: ONE,
  inPlace: true,
  owner: { kind: "us" },
  published: ONE,
  ...changes,
});

function decide(observed: ObservedTag | undefined, mirror: Partial<Mirror> = {}): Action | undefined {
  const observedTags = observe(observed ? { "1": observed } : {});
  return plan(desire([wants("1")]), observedTags, mirrorOf(mirror), { now: NOW }).actions[0];
}

const external = { owner: { kind: "unowned", importsFrom: "docker.io/library/nginx:1" } } as const;

describe("a wanted tag", () => {
  test.for<[string, ObservedTag | undefined, Partial<Mirror>, Record<string, unknown>]>([
    ["is created where nothing is", undefined, {}, { kind: "create", takeover: false, reason: "new" }],
    ["is created where it is free", { inPlace: false, owner: { kind: "free" } }, {}, { kind: "create" }],
    ["is kept where digest and place agree", ours(), {}, { kind: "keep", digest: ONE }],
    [
      "is updated when it moved",
      ours({ digest: TWO }),
      {},
      { kind: "update", replaces: TWO, takeover: false },
    ],
    [
      "is updated when its bytes are elsewhere",
      ours({ inPlace: false }),
      {},
      { kind: "update", takeover: false },
    ],
    [
      "is updated to finish a takeover",
      ours({ importsFrom: "docker.io/library/nginx:1" }),
      {},
      { kind: "update", takeover: true },
    ],
    [
      "is claimed when our very image is there already",
      ours({ owner: { kind: "unowned" } }),
      {},
      { kind: "update", takeover: false, reason: "in place, to be claimed" },
    ],
    ["is remembered as back", ours({ missingSince: "2026-06-01T00:00:00Z" }), {}, { kind: "remember" }],
  ])("%s", ([, observed, mirror, expected]) => {
    const action = decide(observed, mirror);
    expect(action).toMatchObject({ mirror: "nginx", tag: "1", ...expected });
    if (action?.kind === "create" || action?.kind === "update") expect(action.image.digest).toBe(ONE);
    if (action?.kind === "remember") expect(action).not.toHaveProperty("missingSince");
  });

  test.for<[string, ObservedTag, Partial<Mirror>, string]>([
    ["imports from elsewhere", { digest: TWO, inPlace: false, ...external }, {}, "STREAM_TAKEOVER"],
    [
      "imports our very digest from elsewhere",
      { digest: ONE, inPlace: false, ...external },
      {},
      "STREAM_TAKEOVER",
    ],
    ["was never imported", { inPlace: false, ...external }, {}, "STREAM_TAKEOVER"],
    [
      "was pushed by somebody else",
      { digest: TWO, inPlace: true, owner: { kind: "unowned" } },
      {},
      "STREAM_TAKEOVER",
    ],
    [
      "belongs to another mirror, even with takeover",
      { digest: ONE, inPlace: true, owner: { kind: "other", installation: "prod", mirror: "m" } },
      { takeover: true },
      "STREAM_OWNED",
    ],
    [
      "follows another tag",
      ours({ follows: "ImageStreamTag latest" }),
      { takeover: true },
      "STREAM_TAG_KIND",
    ],
    [
      "is contested, even with takeover",
      ours({ importsFrom: "docker.io/library/nginx:1", contestedBy: "argocd" }),
      { takeover: true },
      "STREAM_CONTESTED",
    ],
  ])("that %s is refused", ([, observed, mirror, code]) => {
    expect(decide(observed, mirror)).toMatchObject({ kind: "refuse", failure: { code } });
  });

  test("that imports from elsewhere is taken over when the mirror says so", () => {
    const observed: ObservedTag = {
      digest: TWO,
      inPlace: false,
      importsFrom: "docker.io/library/nginx:1",
      ...external,
    };
    expect(decide(observed, { takeover: true })).toMatchObject({
      kind: "update",
      takeover: true,
      replaces: TWO,
      reason: "takes over docker.io/library/nginx:1",
    });
  });

  test("that the source lacks fails and touches nothing", () => {
    const { actions } = plan(
      desire([{ kind: "missing", tag: "1" }], { listing: "none" }),
      observe({ "1": ours() }),
      mirrorOf({ prune: { graceMs: 0, atMost: { kind: "count", count: 9 } } }),
      { now: NOW },
    );
    expect(actions).toMatchObject([{ kind: "refuse", tag: "1", failure: { code: "MANIFEST_UNKNOWN" } }]);
  });

  test("that failed does not stop the others", () => {
    const tags: DesiredTag[] = [wants("1"), { kind: "failed", tag: "2", failure: FAILURE }, wants("3")];
    const { actions } = plan(desire(tags), observe(), mirrorOf(), { now: NOW });
    expect(actions.map(({ kind, tag }) => [tag, kind])).toEqual([
      ["1", "create"],
      ["2", "refuse"],
      ["3", "create"],
    ]);
  });
});

test("a second plan after the first was applied changes nothing", () => {
  const wanted = desire([wants("1"), wants("2", TWO)]);
  const applied = observe({ "1": ours(), "2": ours({ digest: TWO, published: TWO }) });
  expect(plan(wanted, applied, mirrorOf(), { now: NOW }).actions.map(({ kind }) => kind)).toEqual([
    "keep",
    "keep",
  ]);
});

test("A33 include and exclude that cancel each other out select nothing: a warning", () => {
  const { actions, warnings } = plan(
    desire([], { explained: [{ tag: "1.0", kept: false, rule: 'left out by "1.*"' }] }),
    observe({ "1.0": ours() }),
    mirrorOf({ prune: { graceMs: 1, atMost: { kind: "count", count: 10 } } }),
    { now: NOW },
  );
  expect(warnings).toMatchObject([{ code: "FILTER_EMPTY" }]);
  expect(actions.filter(({ kind }) => kind === "prune")).toEqual([]);
});

test("A32 rules that select nothing are a warning", () => {
  const { actions, warnings } = plan(
    desire([], { explained: [{ tag: "main", kept: false, rule: "no rule includes it" }] }),
    observe(),
    mirrorOf(),
    { now: NOW },
  );
  expect(actions).toEqual([]);
  expect(warnings).toMatchObject([{ code: "FILTER_EMPTY", details: { found: 1 } }]);
});

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
    ["tags could all not be resolved", desire([{ kind: "failed", tag: "1", failure: FAILURE }])],
    ["tags are all missing", desire([{ kind: "missing", tag: "1" }])],
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
    const desired = desire([wants("1"), { kind: "failed", tag: "old", failure: FAILURE }]);
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

describe("two mirrors", () => {
  const other = mirrorOf({ name: "other" });
  const planned = (
    mirror: Mirror,
    observed: Observed = observe(),
  ): { mirror: Mirror; plan: ReturnType<typeof plan> } => ({
    mirror,
    plan: plan(desire([wants("1"), wants("2")]), observed, mirror, { now: NOW }),
  });

  test.for<[string, Observed]>([
    ["creates", observe()],
    ["keeps", observe({ "1": ours(), "2": ours() })],
    ["updates", observe({ "1": ours({ digest: TWO }), "2": ours({ digest: TWO }) })],
    ["finds back", observe({ "1": ours({ missingSince: NOW.toISOString() }), "2": ours({ digest: TWO }) })],
  ])("that write one tag are both refused it, also where one %s it", ([, observed]) => {
    const found = clashes([planned(mirrorOf(), observed), planned(other)]);
    expect([...found.keys()]).toEqual(["nginx", "other"]);
    for (const [, tags] of found) {
      expect([...tags.keys()]).toEqual(["1", "2"]);
      expect(tags.get("1")).toMatchObject({
        code: "CONFIG_OVERLAP",
        details: { where: "web/nginx:1", found: "nginx and other" },
      });
    }
  });

  test("that write different targets do not clash", () => {
    const elsewhere = mirrorOf({
      name: "other",
      target: { kind: "imagestream", namespace: "web", name: "b" },
    });
    expect(clashes([planned(mirrorOf()), planned(elsewhere)]).size).toBe(0);
  });
});
