import { readdir } from "node:fs/promises";

import { expect, test } from "vitest";

import { openLayout } from "../../../src/layout/layout.ts";
import { openDaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { startRedis } from "../../support/redis.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const TAGS = 10;

test("several workers write one layout in turns, and every tag of every mirror gets there", async () => {
  await using redis = await startRedis();
  await using directory = await temporaryDirectory();
  await using scene = await openDaemonScene();
  const path = directory.join("layout");
  const wanted = new Map<string, string>();
  const repositories = ["one", "two"];
  for (const repository of repositories)
    for (let tag = 0; tag < TAGS; tag += 1) {
      const name = `${repository}-${tag}`;
      const image = buildImage({ seed: name, layers: [20_000] });
      await pushTo(scene.source, `team/${repository}`, image, name);
      wanted.set(name, image.manifest.digest);
    }
  const mirrors = repositories.map((name) => ({
    name,
    source: `${scene.source.host}/team/${name}`,
    target: `oci:${path}`,
    tags: { all: true },
  }));
  await scene.configure(mirrors, { daemon: { redis: redis.url } });
  const { view } = await scene.start({ workers: 0 });
  for (let worker = 0; worker < 3; worker += 1) await scene.start({ schedules: false, workers: 2 });
  for (const name of repositories) await view.sync(name, "a test");
  await until(async () => (await view.runs()).length === 2, { timeoutMs: 25_000 });
  expect((await view.runs()).map(({ state }) => state)).toEqual(["done", "done"]);
  await using layout = await openLayout(path);
  const found = new Map<string, string>();
  for await (const { tag } of layout.listing()) found.set(tag, (await layout.resolve(tag))?.digest ?? "");
  expect(found).toEqual(wanted);
  await until(async () => !(await readdir(path)).includes(".tagferry"));
});
