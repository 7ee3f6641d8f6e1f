import { expect, test } from "vitest";

import { renderStatus, type StatusView } from "../../../src/cli/status/status-text.ts";
import { openActiveConfigs } from "../../../src/daemon/active-config.ts";
import { inProcessQueue } from "../../../src/daemon/queue/in-process.ts";
import { healthOf, pausesNow } from "../../../src/daemon/view/health.ts";
import { openObservers } from "../../../src/daemon/view/observers.ts";
import type { Context } from "../../../src/sync/context.ts";
import { openDaemonScene, until } from "../../support/daemon-scene.ts";
import { SILENT } from "../../support/registry/client.ts";
import { rateLimited } from "../../support/registry/faults.ts";
import { freshMirror } from "../../support/view.ts";
import { openWorld } from "../../sync/scene.ts";

const SINCE = new Date("2026-03-01T12:00:00Z");
const UNTIL = new Date("2026-03-01T12:05:00Z");

/** `silent` does not answer, `asks` asked for a pause, and all others answer. */
function contextWithPauses(): Context {
  return {
    ...openWorld([]).context,
    unresponsive: (registry) => (registry === "silent" ? { since: SINCE, retryAt: UNTIL } : undefined),
    pausedUntil: async (registry) => (registry === "answers" ? undefined : UNTIL),
    pausedSince: async (registry) => (registry === "asks" ? SINCE : undefined),
  };
}

const TIMES = { since: SINCE.toISOString(), until: UNTIL.toISOString() };

test("a registry that does not answer, or asked for a pause, is shown with the beginning and the end", async () => {
  expect(await pausesNow(contextWithPauses(), ["silent", "answers", "asks"])).toEqual([
    { registry: "silent", kind: "unresponsive", ...TIMES },
    { registry: "asks", kind: "paused", ...TIMES },
  ]);
});

test("a registry without settings is listed while it does not answer", async () => {
  const context = contextWithPauses();
  const first = { config: context.config, warnings: [], files: [] };
  const activeConfigs = openActiveConfigs({
    first,
    load: async () => first,
    open: () => context,
    log: SILENT,
    now: () => new Date(),
    onChange: () => {},
    onBroken: () => {},
  });
  const { rateLimits } = await healthOf({
    queue: inProcessQueue(),
    streamWatch: { states: () => [], follow: () => {}, [Symbol.dispose]: () => {} },
    link: undefined,
    observers: openObservers(SILENT),
    activeConfigs,
    version: "test",
    workers: 1,
    stopping: new AbortController().signal,
    startedAt: SINCE.toISOString(),
    registries: ["silent", "answers"],
  });
  expect(rateLimits).toEqual([
    {
      registry: "silent",
      connections: 16,
      inUse: 0,
      unresponsiveSince: TIMES.since,
      unresponsiveUntil: TIMES.until,
    },
  ]);
});

test("a mirror names its registry that asked for a pause", async () => {
  await using scene = await openDaemonScene();
  await scene.configure([
    {
      name: "app",
      source: `${scene.source.host}/library/app`,
      target: "imagestream:web/app",
      tags: { all: true },
    },
  ]);
  scene.source.on({ kind: "tags", always: true }, rateLimited(600));
  const before = Date.now();
  const { view } = await scene.start();
  await view.sync("app", "a test");
  await until(async () => (await view.mirrors())[0]?.pauses !== undefined);
  const [mirror] = await view.mirrors();
  expect(mirror?.pauses).toMatchObject([{ registry: scene.source.host, kind: "paused" }]);
  const [pause] = mirror?.pauses ?? [];
  expect(Date.parse(pause?.since ?? "")).toBeGreaterThanOrEqual(before);
  expect(Date.parse(pause?.since ?? "")).toBeLessThanOrEqual(Date.now());
  const { rateLimits } = await view.health();
  expect(rateLimits.find(({ registry }) => registry === scene.source.host)).toMatchObject({
    pausedSince: pause?.since,
    pausedUntil: pause?.until,
  });
});

test("`status` says once for each registry since when it gets no requests, and until when", () => {
  const pauses = [
    { registry: "quay.io", kind: "unresponsive", since: SINCE.toISOString(), until: UNTIL.toISOString() },
  ] as const;
  const mirrors = [freshMirror("a", { pauses }), freshMirror("b", { pauses }), freshMirror("c")];
  const linesOf = (view: StatusView): readonly string[] =>
    renderStatus(
      mirrors.map((mirror) => ({ ...mirror, failures: [] })),
      view,
    )
      .split("\n")
      .filter((line) => line.startsWith("quay.io"));
  expect(linesOf({})).toEqual([
    "quay.io has not answered since 2026-03-01T12:00:00.000Z; it is tried again at 2026-03-01T12:05:00.000Z",
  ]);
  const nowMs = SINCE.getTime() + 60_000;
  expect(linesOf({ terminal: { columns: 80, nowMs } })).toEqual([
    "quay.io has not answered for 1 min; it is tried again in 4 min",
  ]);
});
