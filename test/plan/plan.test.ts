import { describe, expect, test } from "vitest";

import type { Mirror } from "../../src/config/config.ts";
import type { Action, DesiredTag, ObservedTag } from "../../src/plan/action.ts";
import { plan } from "../../src/plan/plan.ts";
import { mirrorOf } from "./mirror.ts";
import { FAILURE, NOW, ONE, TWO, desire, observe, ours, readOf, wants } from "./scene.ts";

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
      { kind: "update", takeover: false, reason: "up to date, but not owned yet" },
    ],
    ["is remembered as back", ours({ missingSince: "2026-06-01T00:00:00Z" }), {}, { kind: "remember" }],
  ])("%s", ([, observed, mirror, expected]) => {
    const action = decide(observed, mirror);
    expect(action).toMatchObject({ mirror: "nginx", ...readOf("1"), ...expected });
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
      desire([{ kind: "missing", ...readOf("1") }], { listing: "none" }),
      observe({ "1": ours() }),
      mirrorOf({ prune: { graceMs: 0, atMost: { kind: "count", count: 9 } } }),
      { now: NOW },
    );
    expect(actions).toMatchObject([{ kind: "refuse", tag: "1", failure: { code: "MANIFEST_UNKNOWN" } }]);
  });

  test("that failed does not stop the others", () => {
    const tags: DesiredTag[] = [wants("1"), { kind: "failed", ...readOf("2"), failure: FAILURE }, wants("3")];
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
