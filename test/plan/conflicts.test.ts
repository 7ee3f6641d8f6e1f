import { describe, expect, test } from "vitest";

import type { Mirror } from "../../src/config/config.ts";
import type { Observed } from "../../src/plan/action.ts";
import { clashes } from "../../src/plan/conflicts.ts";
import { plan } from "../../src/plan/plan.ts";
import { mirrorOf } from "./mirror.ts";
import { NOW, TWO, desire, observe, ours, wants } from "./scene.ts";

const planned = (
  mirror: Mirror,
  observed: Observed = observe(),
): { mirror: Mirror; plan: ReturnType<typeof plan> } => ({
  mirror,
  plan: plan(desire([wants("1"), wants("2")]), observed, mirror, { now: NOW }),
});

describe("two mirrors", () => {
  const other = mirrorOf({ name: "other" });
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
