import { expect, test } from "vitest";

import type { DaemonView } from "../../../src/daemon/view/view.ts";
import { openMetrics } from "../../../src/web/metrics.ts";
import { type DaemonScene, openDaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";

const REPOSITORY = "library/app";

type Opened = AsyncDisposable & {
  readonly scene: DaemonScene;
  readonly view: DaemonView;
  /** From now on the source does not answer. `release`: it answers again. */
  hold(): { release(): void };
  /** Lateness in seconds, and the state. */
  readonly late: () => Promise<readonly [number, string]>;
};

/** A daemon with one mirror that is due every minute, and was checked once. */
async function open(): Promise<Opened> {
  await using stack = new AsyncDisposableStack();
  const scene = stack.use(await openDaemonScene());
  await pushTo(scene.source, REPOSITORY, buildImage({ seed: "one" }), "1");
  await scene.configure([
    {
      name: "app",
      source: `${scene.source.host}/${REPOSITORY}`,
      target: "imagestream:web/app",
      tags: ["1"],
      referrers: false,
      schedule: "* * * * *",
    },
  ]);
  const { view } = await scene.start();
  await until(async () => (await view.runs())[0]?.state === "done");
  const owned = stack.move();
  return {
    scene,
    view,
    hold() {
      const { promise, resolve: release } = Promise.withResolvers<void>();
      owned.defer(release);
      const undo = scene.source.on({ always: true }, async (_request, respond) => {
        await promise;
        return respond();
      });
      return { release: () => (undo(), release()) };
    },
    async late() {
      const [mirror] = await view.mirrors();
      return [mirror?.latenessS ?? Number.NaN, mirror?.state ?? ""];
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Waits until a due time is recorded, which happens after the job is queued. */
async function passUntilLate({ scene, late }: Opened, minutes: number): Promise<void> {
  for (let minute = 1; minute <= minutes; minute += 1) {
    scene.clock.pass(1);
    await until(async () => (await late())[0] === (minute - 1) * 60);
  }
}

test("a mirror that is due every minute is late when none of its checks ends, and the metric says for how long", async () => {
  await using opened = await open();
  opened.hold();
  await passUntilLate(opened, 4);
  expect(await opened.late()).toEqual([180, "late"]);
  using metrics = openMetrics(opened.view);
  expect(await metrics.text()).toContain('tagferry_mirror_lateness_seconds{mirror="app"} 180');
});

test("a run that ends makes its mirror fresh, and the next lateness counts from the next due time", async () => {
  await using opened = await open();
  const { scene, view } = opened;
  const held = opened.hold();
  await passUntilLate(opened, 4);
  held.release();
  await until(async () => (await opened.late())[1] === "fresh");
  // the check that waited for the first one
  await until(async () => (await view.health()).jobs?.active === 0);
  opened.hold();
  scene.clock.pass(1);
  await until(async () => (await view.health()).jobs?.active === 1);
  expect(await opened.late()).toEqual([0, "fresh"]);
  scene.clock.pass(3);
  await until(async () => (await opened.late())[0] === 180);
});

test("a paused mirror is not late, and what was due during the pause does not count afterwards", async () => {
  await using opened = await open();
  const { scene, view } = opened;
  await view.pause("app", "a test");
  scene.clock.pass(10);
  await until(async () => (await view.health()).jobs?.active === 0);
  expect(await opened.late()).toEqual([0, "paused"]);
  opened.hold();
  await view.resume("app", "a test");
  expect(await opened.late()).toEqual([0, "fresh"]);
  await passUntilLate(opened, 2);
});

test("a clock that is put back makes no mirror late, and hides no lateness", async () => {
  await using opened = await open();
  const { scene } = opened;
  opened.hold();
  await passUntilLate(opened, 3);
  scene.clock.jump(-60);
  expect(await opened.late()).toEqual([0, "fresh"]);
  await passUntilLate(opened, 4);
  expect(await opened.late()).toEqual([180, "late"]);
});
