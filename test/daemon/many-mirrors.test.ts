import { setTimeout as delay } from "node:timers/promises";

import { expect, test } from "vitest";

import { randomOf } from "../faults/random.ts";
import { openDaemonScene, until } from "../support/daemon-scene.ts";
import { buildImage, pushTo } from "../support/images/images.ts";

const MIRRORS = 100;
const CHECKS_MAX = 8;
const DUE_TIMES = 10;
const MINUTE_MS = 60_000;

/**
 * The clock goes on as soon as so few checks are left, so that checks of two due times meet. Time is counted in due
 * times: the speed of the machine does not matter.
 */
const LEFT_MAX = 30;

test("with 100 mirrors that are always due no due time is missed, none waits for two others, and checks at once are bounded", async () => {
  const random = randomOf("many mirrors");
  await using scene = await openDaemonScene();
  const image = buildImage({ seed: "many", layers: [500] });
  for (let mirror = 0; mirror < MIRRORS; mirror += 1)
    await pushTo(scene.source, `team/app${mirror}`, image, "1");
  await scene.configure(
    Array.from({ length: MIRRORS }, (_, mirror) => ({
      name: `app${mirror}`,
      source: `${scene.source.host}/team/app${mirror}`,
      target: `imagestream:web/app${mirror}`,
      tags: ["1"],
      referrers: false,
      schedule: "* * * * *",
    })),
    { daemon: { checks: CHECKS_MAX } },
  );
  const { view } = await scene.start();
  const idle = async (): Promise<boolean> => {
    const { jobs } = await view.health();
    return jobs?.active === 0 && jobs.waiting === 0;
  };
  await until(async () => (await idle()) && (await view.mirrors()).every(({ state }) => state === "fresh"), {
    timeoutMs: 30_000,
  });

  /** When each mirror was read at the source, by the daemon's clock. */
  const readings = new Map<string, number[]>();
  let reading = 0;
  let most = 0;
  scene.source.on({ always: true }, async ({ entry }, respond) => {
    const name = /^\/v2\/team\/(app\d+)\/manifests\/1$/.exec(entry.path)?.[1] ?? "";
    readings.set(name, [...(readings.get(name) ?? []), scene.clock.now().getTime()]);
    reading += 1;
    most = Math.max(most, reading);
    await delay(random.int(0, 4));
    reading -= 1;
    return respond();
  });
  const from = scene.clock.now().getTime();
  for (let due = 0; due < DUE_TIMES; due += 1) {
    scene.clock.pass(1);
    const left = random.int(0, LEFT_MAX);
    await until(async () => {
      const { jobs } = await view.health();
      return jobs !== undefined && jobs.active + jobs.waiting <= left;
    });
  }
  await until(idle);

  for (let mirror = 0; mirror < MIRRORS; mirror += 1) {
    const at = readings.get(`app${mirror}`) ?? [];
    for (let due = 1; due <= DUE_TIMES; due += 1) {
      const dueMs = from + due * MINUTE_MS;
      const answered = at.find((readMs) => readMs >= dueMs);
      expect(answered, `app${mirror}, due time ${due}`).toBeDefined();
      expect((answered ?? 0) - dueMs, `app${mirror}, due time ${due}`).toBeLessThan(2 * MINUTE_MS);
    }
  }
  expect(most).toBeLessThanOrEqual(CHECKS_MAX);
  expect(most).toBeGreaterThan(1);
}, 120_000);
