import { expect, test } from "vitest";

import { RetryLater } from "../../../src/daemon/queue/queue.ts";
import { throwIfUnknown } from "../../../src/daemon/work/retry-job.ts";
import { openDaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { startRedis } from "../../support/redis.ts";

test("a job for a mirror that this worker does not know yet is given back, and done when it knows it", async () => {
  await using redis = await startRedis();
  await using scene = await openDaemonScene();
  const pushed = await pushTo(scene.source, "a/app", buildImage({ seed: "app", layers: [500] }), "1");
  const mirror = (name: string): object => ({
    name,
    source: `${scene.source.host}/a/app`,
    target: `imagestream:web/${name}`,
    tags: ["1"],
  });
  const daemon = { redis: redis.url };
  // the worker starts with the old file; the daemon has the new one
  await scene.configure([mirror("other")], { daemon });
  await scene.start({ schedules: false });
  await scene.configure([mirror("other"), mirror("app")], { daemon });
  const { view } = await scene.start({ workers: 0 });
  await view.sync("app", "a test");
  const published = (): string | undefined =>
    scene.cluster.stream("web", "app")?.status?.tags?.[0]?.items?.[0]?.image;
  await until(() => published() !== undefined, { timeoutMs: 60_000 });
  expect(published()).toBe(pushed.manifest.digest);
}, 90_000);

test("it is given back for some minutes, and then dropped", () => {
  let waitedMs = 0;
  let attempt = 0;
  for (; attempt < 1_000; attempt += 1)
    try {
      throwIfUnknown(attempt);
      break;
    } catch (error) {
      if (!(error instanceof RetryLater)) throw error;
      waitedMs += error.delayMs;
    }
  expect(waitedMs).toBeGreaterThanOrEqual(3 * 60_000);
  expect(waitedMs).toBeLessThanOrEqual(10 * 60_000);
});
