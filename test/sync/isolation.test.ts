import { expect, test } from "vitest";

import { exitCodeOfReport } from "../../src/cli/exit-code.ts";
import { planMirrors, syncMirrors } from "../../src/sync/sync.ts";
import { between, imageOf, openWorld, told } from "./scene.ts";

const GOOD = Array.from({ length: 20 }, (_, position) => `good-${position}`);

test("a source that never answers keeps no other mirror waiting, and fails at its deadline", async () => {
  const mirrors = [between("dead", { deadlineMs: 600_000 }), ...GOOD.map((name) => between(name))];
  const world = openWorld(mirrors);
  for (const name of GOOD) world.store(`near.example/${name}`).seed(imageOf(name), "1");
  const never = Promise.withResolvers<void>();
  world.store("near.example/dead").before(() => never.promise);
  const published = new Set<string>();
  const stop = new AbortController();
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const outcome = ({ kind, mirror }: { readonly kind: string; readonly mirror: string }): void => {
    if (kind === "copied") published.add(mirror);
    if (published.size === GOOD.length) resolve();
  };
  const running = syncMirrors(mirrors, world.context, { watch: { outcome }, signal: stop.signal });
  await all;
  stop.abort(new Error("seen enough"));
  await expect(running).rejects.toThrow("seen enough");
  never.resolve();
});

test("many mirrors of a registry that never answers keep no mirror of another registry waiting", async () => {
  const dead = Array.from({ length: 100 }, (_, position) => `dead-${position}`);
  const elsewhere = { kind: "registry", registry: "other.example", repository: "good" } as const;
  const mirrors = [...dead.map((name) => between(name)), between("good", { source: elsewhere })];
  const world = openWorld(mirrors);
  world.store("other.example/good").seed(imageOf("good"), "1");
  const never = Promise.withResolvers<void>();
  for (const name of dead) world.store(`near.example/${name}`).before(() => never.promise);
  const stop = new AbortController();
  const first = Promise.withResolvers<string>();
  const watch = { outcome: ({ mirror }: { readonly mirror: string }): void => first.resolve(mirror) };
  const running = syncMirrors(mirrors, world.context, { watch, signal: stop.signal });
  expect(await first.promise).toBe("good");
  stop.abort(new Error("seen enough"));
  await expect(running).rejects.toThrow("seen enough");
  never.resolve();
});

test("a mirror that misses its deadline stands in the report in its place, and the run failed in part", async () => {
  const mirrors = [between("dead", { deadlineMs: 200 }), between("good")];
  const world = openWorld(mirrors);
  world.store("near.example/good").seed(imageOf("good"), "1");
  const never = Promise.withResolvers<void>();
  world.store("near.example/dead").before(() => never.promise);
  const report = await syncMirrors(mirrors, world.context);
  never.resolve();
  expect(report.mirrors.map(({ mirror }) => mirror)).toEqual(["dead", "good"]);
  expect(told(report)).toEqual({ dead: { "*": "CHECK_DEADLINE" }, good: { "1": "copied" } });
  expect(exitCodeOfReport(report)).toBe(1);
});

test("a plan has the order of the configuration, and says which mirror missed its deadline", async () => {
  const mirrors = [between("dead", { deadlineMs: 200 }), between("good")];
  const world = openWorld(mirrors);
  world.store("near.example/good").seed(imageOf("good"), "1");
  const never = Promise.withResolvers<void>();
  world.store("near.example/dead").before(() => never.promise);
  const planned = await planMirrors(mirrors, world.context);
  never.resolve();
  expect(planned).toMatchObject([
    { kind: "failed", mirror: { name: "dead" }, failure: { code: "CHECK_DEADLINE" } },
    { kind: "planned", mirror: { name: "good" } },
  ]);
});
