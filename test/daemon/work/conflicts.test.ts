import { expect, test } from "vitest";

import { openDaemonScene, until } from "../../support/daemon-scene.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";

test("two mirrors whose globs take one tag of one target are refused it by the daemon, as by sync", async () => {
  await using scene = await openDaemonScene();
  for (const repository of ["one", "two"])
    await pushTo(scene.source, `team/${repository}`, buildImage({ seed: repository, layers: [500] }), "1.0");
  const mirrors = ["one", "two"].map((name) => ({
    name,
    source: `${scene.source.host}/team/${name}`,
    target: `${scene.source.host}/merged/app`,
    tags: { glob: "1.*" },
  }));
  await scene.configure(mirrors);
  const { view } = await scene.start();
  for (const name of ["one", "two"]) {
    await view.sync(name, "a test");
    await until(async () => (await view.mirror(name))?.runs[0]?.finishedAt !== undefined);
    expect((await view.mirror(name))?.tags).toMatchObject([
      { tag: "1.0", failure: { code: "CONFIG_OVERLAP" } },
    ]);
  }
  expect(scene.source.ledger.count({ method: "PUT", repository: "merged/app" })).toBe(0);
});
