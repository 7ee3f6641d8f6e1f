import { once } from "node:events";

import { expect, test } from "vitest";

import { until } from "../support/daemon-scene.ts";
import { freePort } from "../support/free-port.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { startRedis } from "../support/redis.ts";
import { startRegistry } from "../support/registry/registry.ts";
import { startServe, startWorker, tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";

test("a daemon and two workers run with one file on one machine: only the daemon listens", async () => {
  await using directory = await temporaryDirectory();
  await using redis = await startRedis();
  await using registry = await startRegistry();
  const image = buildImage({ layers: [2_000] });
  await pushTo(registry, "a/app", image, "1");
  const config = await writeConfig(directory.path, {
    version: 1,
    daemon: {
      redis: redis.url,
      listen: `127.0.0.1:${await freePort()}`,
      healthListen: `127.0.0.1:${await freePort()}`,
    },
    registries: { [registry.host]: { plainHttp: true } },
    mirrors: [{ source: `${registry.host}/a/app`, target: `${registry.host}/b/app`, tags: ["1"] }],
  });
  // the workers come first: the daemon must find its ports free
  const workers = [await startWorker(["-c", config]), await startWorker(["-c", config])];
  const daemon = await startServe(["-c", config, "--workers", "0"]);
  await fetch(`${daemon.url}/api/v1/mirrors/b-app/sync`, { method: "POST", headers: { origin: daemon.url } });
  await until(() => registry.digestOf("b/app", "1") === image.manifest.digest);
  for (const { child } of [...workers, daemon]) {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  }
});

test("a worker answers probes where it is told to listen, on any address", async () => {
  await using directory = await temporaryDirectory();
  await using redis = await startRedis();
  const config = await writeConfig(directory.path, {
    version: 1,
    daemon: { redis: redis.url },
    mirrors: [{ source: "quay.io/a/app", target: "quay.io/b/app", tags: ["1"] }],
  });
  const health = `127.0.0.1:${await freePort()}`;
  const flags = ["-c", config, "--listen", "0.0.0.0:0", "--health-listen", health];
  const { child, url } = await startServe(flags, { kind: "worker" });
  const { port } = new URL(url);
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200);
  expect((await fetch(`http://${health}/livez`)).status).toBe(200);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
  const wrong = await tagferry(["worker", "-c", config, "--health-listen", "nowhere"]);
  expect(wrong.stderr).toContain("CONFIG_LISTEN");
  expect(wrong.code).toBe(3);
});
