import { createServer } from "node:net";

import { expect, test } from "vitest";

import { openDaemonScene, until } from "../support/daemon-scene.ts";
import { buildImage, pushTo } from "../support/images/images.ts";

const GOOD = 20;

/** Accepts connections, reads what comes, and never answers. */
async function startSilence(): Promise<
  AsyncDisposable & { readonly host: string; readonly connections: () => number }
> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    host: `127.0.0.1:${port}`,
    connections: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("a source that accepts connections and never answers stops no other mirror, and says why", async () => {
  await using silence = await startSilence();
  await using scene = await openDaemonScene();
  const image = buildImage({ seed: "good", layers: [500] });
  const mirrors = [];
  for (let at = 0; at < GOOD; at += 1) {
    await pushTo(scene.source, `team/app${at}`, image, "1");
    mirrors.push({
      name: `good${at}`,
      source: `${scene.source.host}/team/app${at}`,
      target: `imagestream:web/app${at}`,
    });
  }
  const dead = {
    name: "dead",
    source: `${silence.host}/team/dead`,
    target: "imagestream:web/dead",
    deadline: "1s",
  };
  await scene.configure(
    [dead, ...mirrors].map((mirror) => ({ tags: ["1"], referrers: false, schedule: "* * * * *", ...mirror })),
    {
      registries: {
        [silence.host]: { plainHttp: true },
        [scene.source.host]: { plainHttp: true },
        [scene.cluster.registryHost]: { plainHttp: true },
      },
      daemon: { checks: 2 },
    },
  );
  const { view } = await scene.start();
  await until(() => silence.connections() > 0);
  // the mirrors become due many times: the dead one uses at most one slot
  for (let round = 0; round < 3; round += 1) {
    const before = scene.clock.now().toISOString();
    scene.clock.pass(1);
    await until(
      async () =>
        (await view.mirrors()).filter(
          ({ name, lastSuccessAt }) => name !== "dead" && (lastSuccessAt ?? "") > before,
        ).length === GOOD,
      { timeoutMs: 30_000 },
    );
  }
  await until(async () => (await view.mirrors()).find(({ name }) => name === "dead")?.reason !== undefined);
  expect((await view.mirrors()).find(({ name }) => name === "dead")).toMatchObject({
    state: "failing",
    failure: { code: "CHECK_DEADLINE" },
    reason: expect.stringContaining("CHECK_DEADLINE"),
  });
}, 120_000);

test("a source whose name does not resolve shows why after its first failure", async () => {
  await using scene = await openDaemonScene();
  await scene.configure([
    { name: "gone", source: "registry.invalid/a/b", target: "imagestream:web/b", tags: ["1"] },
  ]);
  const { view } = await scene.start();
  await view.sync("gone", "a test");
  await until(async () => (await view.mirrors())[0]?.state === "failing", { timeoutMs: 60_000 });
  const [mirror] = await view.mirrors();
  expect(mirror?.reason).toContain("registry.invalid");
}, 90_000);
