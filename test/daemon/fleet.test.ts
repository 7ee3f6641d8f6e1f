import { expect, test } from "vitest";

import type { Daemon } from "../../src/daemon/daemon.ts";
import { type DaemonScene, openDaemonScene, until } from "../support/daemon-scene.ts";
import { buildLayer } from "../support/images/content.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { overlappingUploads } from "../support/ledger.ts";
import { startRedis } from "../support/redis.ts";

const MIRRORS = 60;
const TAGS = 5;

/** Images with three layers: one is shared by all, one by the images of a repository, one is only in this image. */
async function seed({ source }: DaemonScene): Promise<Map<string, string>> {
  const wanted = new Map<string, string>();
  const shared = [0, 1, 2].map((one) => buildLayer(`shared-${one}`, { sizeBytes: 3_000 }));
  for (let mirror = 0; mirror < MIRRORS; mirror += 1) {
    const own = buildLayer(`repository-${mirror}`, { sizeBytes: 2_000 });
    for (let tag = 0; tag < TAGS; tag += 1) {
      const layers = [shared[mirror % 3] ?? own, own, buildLayer(`${mirror}-${tag}`, { sizeBytes: 500 })];
      const image = buildImage({ seed: `${mirror}-${tag}`, layers });
      await pushTo(source, `team/app${mirror}`, image, `v${tag}`);
      wanted.set(`app${mirror}:v${tag}`, image.manifest.digest);
    }
  }
  return wanted;
}

function published({ cluster }: DaemonScene): Map<string, string> {
  const found = new Map<string, string>();
  for (let mirror = 0; mirror < MIRRORS; mirror += 1)
    for (const { tag, items } of cluster.stream("web", `app${mirror}`)?.status?.tags ?? [])
      if (items?.[0]) found.set(`app${mirror}:${tag}`, items[0].image);
  return found;
}

test("two daemons and three workers check every due time once, and move each blob once", async () => {
  await using redis = await startRedis();
  await using scene = await openDaemonScene();
  const wanted = await seed(scene);
  const mirrors = Array.from({ length: MIRRORS }, (_, index) => ({
    name: `app${index}`,
    source: `${scene.source.host}/team/app${index}`,
    target: `imagestream:web/app${index}`,
    tags: { all: true },
    referrers: false, // a question about late signatures would read the listing once more
    schedule: "*/30 * * * *",
  }));
  await scene.configure(mirrors, { daemon: { redis: redis.url } });
  scene.source.ledger.clear();
  const daemons = [await scene.start({ workers: 0 }), await scene.start({ workers: 0 })];
  for (let worker = 0; worker < 3; worker += 1) await scene.start({ schedules: false, workers: 4 });
  const [first, other] = daemons as [Daemon, Daemon];
  const { view } = first;
  await until(() => published(scene).size === wanted.size, { timeoutMs: 60_000 });
  expect(published(scene)).toEqual(wanted);

  // each blob was read from the source once and pushed to the cluster's registry once, for all images
  const gets = scene.source.ledger.entries.filter(
    ({ method, kind, status }) => method === "GET" && kind === "blob" && status === 200,
  );
  expect(gets.length).toBe(new Set(gets.map(({ path }) => path.split("/").at(-1))).size);
  expect(overlappingUploads(scene.cluster.registryLedger)).toEqual([]);
  const closed = scene.cluster.registryLedger.entries.filter(
    ({ method, kind, status, requestBytes }) =>
      method === "PUT" && kind === "upload" && status === 201 && requestBytes > 0,
  );
  expect(closed.length).toBe(gets.length);

  // hundreds of due times: both daemons add jobs, and one check runs
  const settled = async (): Promise<boolean> =>
    (await view.mirrors()).every(({ state }) => state === "fresh");
  await until(settled, { timeoutMs: 30_000 });
  scene.source.ledger.clear();
  const rounds = 5;
  for (let round = 0; round < rounds; round += 1) {
    scene.clock.pass(30);
    await until(async () => settled(), { timeoutMs: 30_000 });
    await until(() => scene.source.ledger.count({ kind: "tags" }) >= MIRRORS * (round + 1), {
      timeoutMs: 30_000,
    });
  }
  expect(scene.source.ledger.count({ kind: "tags" })).toBe(MIRRORS * rounds);
  expect(scene.source.ledger.count({ method: "GET", kind: "blob" })).toBe(0);
  expect(await other.view.runs({ mirror: "app0" })).toHaveLength(rounds + 1);
}, 180_000);
