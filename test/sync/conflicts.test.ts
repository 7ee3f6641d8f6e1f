import { describe, expect, test } from "vitest";

import type { Mirror, TagRules } from "../../src/config/config.ts";
import { planMirrors, syncMirrors } from "../../src/sync/sync.ts";
import { between, imageOf, openWorld, told, type World } from "./scene.ts";

const glob = (pattern: string): { readonly tags: TagRules } => ({
  tags: { kind: "rules", include: [{ kind: "glob", glob: pattern }], exclude: [] },
});

function twoMirrors(
  one: Partial<Mirror>,
  two: Partial<Mirror>,
): World & { readonly mirrors: readonly Mirror[] } {
  const mirrors = [between("one", { to: "app", ...one }), between("two", { to: "app", ...two })];
  const world = openWorld(mirrors);
  for (const tag of ["1.0", "1.1"]) world.store("near.example/one").seed(imageOf(`one ${tag}`), tag);
  for (const tag of ["1.1", "1.2"]) world.store("near.example/two").seed(imageOf(`two ${tag}`), tag);
  return { ...world, mirrors };
}

describe("a tag that the rules of two mirrors select for one target", () => {
  test("is refused for each of them, whether all mirrors are checked or one", async () => {
    const { context, mirrors, store } = twoMirrors(glob("1.*"), glob("1.*"));
    const all = told(await syncMirrors(mirrors, context));
    expect(all).toEqual({
      one: { "1.0": "copied", "1.1": "CONFIG_OVERLAP" },
      two: { "1.1": "CONFIG_OVERLAP", "1.2": "copied" },
    });
    for (const mirror of mirrors)
      expect(told(await syncMirrors([mirror], context))[mirror.name]).toMatchObject({
        "1.1": "CONFIG_OVERLAP",
      });
    expect([...store("far.example/app").tags.keys()].toSorted()).toEqual(["1.0", "1.2"]);
  });

  test("is found without asking for any digest of the other mirror", async () => {
    const { context, mirrors, store } = twoMirrors(glob("1.*"), glob("1.*"));
    await planMirrors(mirrors.slice(0, 1), context);
    expect(store("near.example/two").calls.map(({ operation }) => operation)).toEqual(["listing"]);
  });

  test("costs no second listing when both mirrors are checked", async () => {
    const { context, mirrors, store } = twoMirrors(glob("1.*"), glob("1.*"));
    await planMirrors(mirrors, context);
    expect(store("near.example/one").count("listing")).toBe(1);
    expect(store("near.example/two").count("listing")).toBe(1);
  });

  test("is found by its name where the other mirror names it", async () => {
    const { context, mirrors, store } = twoMirrors(glob("1.*"), { tags: { kind: "exact", tags: ["1.1"] } });
    const [planned] = await planMirrors(mirrors.slice(0, 1), context);
    expect(planned).toMatchObject({ plan: { actions: [{ kind: "create" }, { kind: "refuse" }] } });
    expect(store("near.example/two").calls).toEqual([]);
  });
});

test("a mirror with the same target whose rules take other names is not asked", async () => {
  const { context, mirrors, store } = twoMirrors(glob("1.0"), glob("1.2"));
  await planMirrors(mirrors.slice(0, 1), context);
  expect(store("near.example/two").calls).toEqual([]);
});

test("where the other source fails, nothing new is written under a name that its rules take", async () => {
  const { context, mirrors, store } = twoMirrors(glob("1.*"), { ...glob("1.[1-9]"), deadlineMs: 200 });
  const never = Promise.withResolvers<void>();
  store("near.example/two").before(() => never.promise);
  const report = await syncMirrors(mirrors.slice(0, 1), context);
  never.resolve();
  expect(told(report)).toEqual({ one: { "1.0": "copied", "1.1": "OVERLAP_UNKNOWN" } });
  expect(report.mirrors[0]?.outcomes).toMatchObject([
    {},
    { failure: { details: { found: expect.stringContaining("CHECK_DEADLINE") } } },
  ]);
});
