import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

import { expect, test } from "vitest";

import { type DaemonScene, openDaemonScene, until } from "../support/daemon-scene.ts";
import { freePort } from "../support/free-port.ts";
import { buildLayer } from "../support/images/content.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { overlappingUploads } from "../support/ledger.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { type Serving, startServe } from "../support/tagferry.ts";

const MIRRORS = 30;
const TAGS = 10;
const PERIOD_S = 6;

type Wanted = Map<string, string>;

/**
 * An image with three layers: one is shared by many images, one by the images of its repository, one is only in this
 * image.
 */
async function pushImage(
  { source }: DaemonScene,
  mirror: number,
  tag: number,
  seed: string,
): Promise<string> {
  const layers = [
    buildLayer(`shared-${mirror % 3}`, { sizeBytes: 3_000 }),
    buildLayer(`repository-${mirror}`, { sizeBytes: 2_000 }),
    buildLayer(`${mirror}-${tag}-${seed}`, { sizeBytes: 500 }),
  ];
  const image = buildImage({ seed: `${mirror}-${tag}-${seed}`, layers });
  await pushTo(source, `team/app${mirror}`, image, `v${tag}`);
  return image.manifest.digest;
}

async function pushAll(scene: DaemonScene): Promise<Wanted> {
  const wanted: Wanted = new Map();
  for (let mirror = 0; mirror < MIRRORS; mirror += 1)
    for (let tag = 0; tag < TAGS; tag += 1)
      wanted.set(`app${mirror}:v${tag}`, await pushImage(scene, mirror, tag, "first"));
  return wanted;
}

function published({ cluster }: DaemonScene): Wanted {
  const found: Wanted = new Map();
  for (let mirror = 0; mirror < MIRRORS; mirror += 1)
    for (const { tag, items } of cluster.stream("web", `app${mirror}`)?.status?.tags ?? [])
      if (items?.[0]) found.set(`app${mirror}:${tag}`, items[0].image);
  return found;
}

const isRight = (scene: DaemonScene, wanted: Wanted): boolean => {
  const found = published(scene);
  return wanted.entries().every(([name, digest]) => found.get(name) === digest);
};

/** SIGTERM, and the exit code. */
async function ended({ child }: Serving): Promise<number | null> {
  const exit = once(child, "exit") as Promise<[number | null]>;
  child.kill("SIGTERM");
  const [code] = await exit;
  return code;
}

/** Nothing is under way when no event came for a second. */
async function quiet({ source }: DaemonScene): Promise<void> {
  for (let before = -1; before !== source.ledger.count();) {
    before = source.ledger.count();
    await delay(1_000);
  }
}

/** The due times of a mirror's runs, as the processes recorded them, with their causes. */
async function runsOf(
  redis: TestRedis,
  mirror: string,
): Promise<{ dueAt: string; cause: string; state: string }[]> {
  const fields = (await redis.command("hvals", `{tagferry}:runs:${mirror}`)) as string[];
  return fields.map((text) => JSON.parse(text) as { dueAt: string; cause: string; state: string });
}

test("two daemons and three workers, each a process, check every due time once and move each blob once", async () => {
  await using redis = await startRedis();
  await using scene = await openDaemonScene();
  const wanted = await pushAll(scene);
  const mirrors = Array.from({ length: MIRRORS }, (_, index) => ({
    name: `app${index}`,
    source: `${scene.source.host}/team/app${index}`,
    target: `imagestream:web/app${index}`,
    tags: { all: true },
    schedule: `*/${PERIOD_S} * * * * *`,
    // so each listing proves one check
    referrers: false,
  }));
  await scene.configure(mirrors, { daemon: { redis: redis.url } });
  scene.source.ledger.clear();
  const start = async (kind: "serve" | "worker", workers: number): Promise<Serving> =>
    startServe(
      [
        "-c",
        scene.file,
        "--log-level",
        "error",
        "--workers",
        String(workers),
        "--listen",
        `127.0.0.1:${await freePort()}`,
      ],
      { kind },
    );
  const daemons = await Promise.all([start("serve", 0), start("serve", 0)]);
  const workers = await Promise.all([1, 2, 3].map(() => start("worker", 4)));
  await until(() => isRight(scene, wanted), { timeoutMs: 60_000 });

  for (let mirror = 0; mirror < MIRRORS; mirror += 3)
    wanted.set(`app${mirror}:v1`, await pushImage(scene, mirror, 1, "moved"));
  await until(() => isRight(scene, wanted), { timeoutMs: 30_000 });
  // one daemon stops, and the other one handles all due times
  const [first, other] = daemons;
  expect(await ended(first)).toBe(0);
  for (let mirror = 1; mirror < MIRRORS; mirror += 3)
    wanted.set(`app${mirror}:v2`, await pushImage(scene, mirror, 2, "moved again"));
  await until(() => isRight(scene, wanted), { timeoutMs: 30_000 });
  expect(await ended(other)).toBe(0);
  await quiet(scene);
  for (const worker of workers) expect(await ended(worker)).toBe(0);
  for (const { said } of [...daemons, ...workers]) expect(said()).not.toMatch(/"level":"?(?:error|50)|ERROR/);

  expect(published(scene)).toEqual(wanted);
  let checks = 0;
  for (const { name } of mirrors) {
    const runs = await runsOf(redis, name);
    expect(runs.map(({ state }) => state)).toEqual(runs.map(() => "done"));
    checks += runs.length;
    const due = runs.filter(({ cause }) => cause === "schedule").map(({ dueAt }) => Date.parse(dueAt) / 1000);
    const [earliest = 0, ...later] = due.toSorted((one, another) => one - another);
    expect(later).toEqual(later.map((_, index) => earliest + (index + 1) * PERIOD_S));
  }
  expect(scene.source.ledger.count({ kind: "tags" })).toBe(checks);
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
}, 180_000);
