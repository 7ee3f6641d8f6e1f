import { expect, test } from "vitest";

import type { Mirror } from "../../src/config/config.ts";
import { syncMirrors } from "../../src/sync/sync.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import type { MemoryStore } from "../support/memory-store.ts";
import { between, handClock, imageOf, openWorld, told } from "./scene.ts";

const OLD = imageOf("old");
const NEW = imageOf("new");

type Race = {
  readonly source: MemoryStore;
  readonly target: MemoryStore;
  readonly end: Record<string, unknown>;
};

/** One tag `1` that is read as OLD; `meanwhile` runs once, after that and before the tag is published. */
async function race(
  meanwhile: (source: MemoryStore, forward: (ms: number) => void) => void,
  mirror: Partial<Mirror> = { tags: { kind: "exact", tags: ["1"] } },
): Promise<Race> {
  const { clock, forward } = handClock();
  const one = between("app", mirror);
  const { context, store } = openWorld([one]);
  const [source, target] = [store("near.example/app"), store("far.example/app")];
  source.seed(OLD, "1");
  let begun = false;
  source.before(({ operation }) => {
    if (operation !== "blob" || begun) return;
    begun = true;
    meanwhile(source, forward);
  });
  const report = await syncMirrors([one], context, { clock });
  return { source, target, end: told(report)["app"] ?? {} };
}

test("a tag that moves while it is copied is planned again, and what is newer is published", async () => {
  const { source, target, end } = await race((at, forward) => {
    forward(6_000);
    at.seed(NEW, "1");
  });
  expect(end).toEqual({ "1": "copied" });
  expect(target.tags.get("1")).toBe(NEW.manifest.digest);
  expect(target.count("pushManifest", OLD.manifest.digest)).toBe(0);
  expect(source.count("resolve", "1")).toBe(3); // the plan, before the PUT, the second plan
});

test("a tag that was read a moment ago is not asked again", async () => {
  const { source } = await race((_, forward) => forward(4_000));
  expect(source.count("resolve", "1")).toBe(1);
});

test("a clock that was set back makes a plan old", async () => {
  const { source } = await race((_, forward) => forward(-3_600_000));
  expect(source.count("resolve", "1")).toBe(2);
});

test("a tag whose digest the configuration pins is not asked again", async () => {
  const tags = { kind: "exact", tags: ["1"], digests: { "1": OLD.manifest.digest } } as const;
  const { source } = await race((_, forward) => forward(600_000), { tags });
  expect(source.count("resolve", "1")).toBe(1);
});

test("a tag that is gone when it would be published is not published", async () => {
  const { target, end } = await race((at, forward) => {
    forward(6_000);
    at.tags.delete("1");
  });
  expect(end).toEqual({ "1": "MANIFEST_UNKNOWN" });
  expect(target.tags.size).toBe(0);
});

test("a tag that moves without end is given up after a few rounds, and nothing old is published", async () => {
  const { clock, forward } = handClock();
  const one = between("app", { tags: { kind: "exact", tags: ["1"] } });
  const { context, store } = openWorld([one]);
  const source = store("near.example/app");
  const images: BuiltImage[] = [OLD];
  source.seed(OLD, "1");
  source.before(({ operation }) => {
    if (operation !== "blob") return;
    const next = imageOf(`move ${images.length}`);
    images.push(next);
    source.seed(next, "1");
    forward(6_000);
  });
  const seen: string[] = [];
  const report = await syncMirrors([one], context, {
    clock,
    watch: { outcome: ({ kind }) => void seen.push(kind) },
  });
  expect(told(report)).toEqual({ app: { "1": "SOURCE_MOVED" } });
  expect(seen).toEqual(["failed"]);
  expect(store("far.example/app").tags.size).toBe(0);
});
