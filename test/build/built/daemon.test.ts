import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

import { expect, test } from "vitest";

import { until } from "../../support/daemon-scene.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { startRedis } from "../../support/redis.ts";
import { startRegistry } from "../../support/registry/registry.ts";
import { startServe, writeConfig } from "../../support/tagferry.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const ASSETS = resolve(import.meta.dirname, "../../../src/web/assets");

test("the page of the built form loads its files, and the metrics are told", async () => {
  await using directory = await temporaryDirectory();
  const mirror = { source: "localhost:1/a/app", target: "localhost:1/b/app", tags: ["1"] };
  const config = await writeConfig(directory.path, { version: 1, mirrors: [mirror] });
  const { child, url } = await startServe(["-c", config, "--listen", "127.0.0.1:0"]);
  const page = await (await fetch(url)).text();
  const links = [...page.matchAll(/\/assets\/[\w.]+\?v=\w+/g)].map(([link]) => link);
  expect(new Set(links.map((link) => link.replace(/\?.*/, "")))).toEqual(
    new Set(["/assets/icon.svg", "/assets/page.css", "/assets/page.js"]),
  );
  for (const link of links) {
    const name = link.replace(/^\/assets\/|\?.*/g, "");
    expect(await (await fetch(url + link)).text()).toBe(await readFile(`${ASSETS}/${name}`, "utf8"));
  }
  expect(await (await fetch(`${url}/metrics`)).text()).toContain("tagferry_");
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
});

test("a daemon and a worker of the built form share their work over Redis", async () => {
  await using directory = await temporaryDirectory();
  await using redis = await startRedis();
  await using registry = await startRegistry();
  const image = buildImage({ seed: "redis", layers: [2_000] });
  await pushTo(registry, "a/app", image, "1");
  const config = await writeConfig(directory.path, {
    version: 1,
    daemon: { redis: redis.url },
    registries: { [registry.host]: { plainHttp: true } },
    mirrors: [{ source: `${registry.host}/a/app`, target: `${registry.host}/b/app`, tags: ["1"] }],
  });
  const flags = ["-c", config, "--listen", "127.0.0.1:0"];
  const daemon = await startServe([...flags, "--workers", "0"]);
  const worker = await startServe(flags, { kind: "worker" });
  await fetch(`${daemon.url}/api/v1/mirrors/b-app/sync`, { method: "POST", headers: { origin: daemon.url } });
  await until(() => registry.digestOf("b/app", "1") === image.manifest.digest);
  for (const { child } of [worker, daemon]) {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  }
});
