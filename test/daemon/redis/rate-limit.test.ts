import { expect, test } from "vitest";

import { openRedis } from "../../../src/daemon/redis/connection.ts";
import { redisRateLimit } from "../../../src/daemon/redis/rate-limit.ts";
import { uploadQueueOf } from "../../../src/oci/rate-limit.ts";
import { startDaemonProcess } from "../../support/daemon-process.ts";
import { openDaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { peakRequests } from "../../support/ledger.ts";
import { startRedis } from "../../support/redis.ts";
import { SILENT } from "../../support/registry/client.ts";
import { delay } from "../../support/registry/connection-faults.ts";

const PER_SECOND = 25;
const CONNECTIONS = 3;

test("three workers together keep to the requests a second and the connections of a registry", async () => {
  await using redis = await startRedis();
  await using scene = await openDaemonScene();
  const tags = Array.from({ length: 18 }, (_, index) => `v${index}`);
  for (const tag of tags)
    await pushTo(scene.source, "team/app", buildImage({ seed: tag, layers: [1_000] }), tag);
  scene.source.on({ kind: "blob", always: true }, delay(60));
  const mirror = {
    name: "app",
    source: `${scene.source.host}/team/app`,
    target: "imagestream:web/app",
    tags: { all: true },
    referrers: false,
  };
  await scene.configure([mirror], {
    daemon: { redis: redis.url },
    registries: {
      [scene.source.host]: { plainHttp: true, requestsPerSecond: PER_SECOND, connections: CONNECTIONS },
      [scene.cluster.registryHost]: { plainHttp: true },
    },
  });
  const { view } = await scene.start({ workers: 0 });
  await using workers = new AsyncDisposableStack();
  for (let worker = 0; worker < 3; worker += 1)
    workers.use(await startDaemonProcess({ file: scene.file, workers: 4 }));
  scene.source.ledger.clear();
  await view.sync("app", "a test");
  await until(async () => (await view.runs())[0]?.state === "done", { timeoutMs: 40_000 });

  const times = scene.source.ledger.entries.map(({ at }) => at).toSorted((one, other) => one - other);
  expect(times.length).toBeGreaterThan(PER_SECOND * 2);
  const inASecond = times.map((start) => times.filter((at) => at >= start && at < start + 1_000).length);
  // a request that starts in its second may arrive a little later
  expect(Math.max(...inASecond)).toBeLessThanOrEqual(PER_SECOND * 1.4);
  expect(peakRequests(scene.source.ledger)).toBeLessThanOrEqual(CONNECTIONS);
}, 60_000);

test("a registry that asked one worker for quiet is left alone by all, in all lines", async () => {
  await using redis = await startRedis();
  await using workers = new AsyncDisposableStack();
  const open = async () => {
    const link = workers.use(openRedis({ url: redis.url }, SILENT));
    await link.settle(5_000);
    return workers.use(redisRateLimit(link, () => ({ connections: 4 })));
  };
  const [told, another] = [await open(), await open()];
  const untilMs = Date.now() + 400;
  told.pauseUntil("r", new Date(untilMs));
  told.pauseUntil("r", new Date(untilMs - 300));
  told.pauseUntil("far", new Date(Date.now() + 3_600_000));
  await until(async () => Number(await redis.command("pttl", "{tagferry}:paused:far")) > 0);
  for (const line of ["r", uploadQueueOf("r")]) {
    using _ = await another.request(line);
    expect(Date.now()).toBeGreaterThanOrEqual(untilMs);
  }
  await expect(another.request("far")).rejects.toMatchObject({ code: "BUSY" });
  await expect(told.request("far")).rejects.toMatchObject({ code: "RATE_LIMITED" });
});
