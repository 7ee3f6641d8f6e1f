import { expect, test } from "vitest";

import { startDaemonProcess } from "../support/daemon-process.ts";
import { openDaemonScene, until } from "../support/daemon-scene.ts";
import { buildImage, pushTo } from "../support/images.ts";
import { peakRequests } from "../support/ledger.ts";
import { startRedis } from "../support/redis.ts";
import { delay } from "../support/registry-connection-faults.ts";

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
