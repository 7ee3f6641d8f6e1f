import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

import { describe, expect, test } from "vitest";

import { openLayout } from "../../src/layout/layout.ts";
import { until } from "../support/daemon-scene.ts";
import { freePort } from "../support/free-port.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { pushBuilt } from "../support/port.ts";
import { stall } from "../support/registry/connection-faults.ts";
import { registryError, status } from "../support/registry/faults.ts";
import { startRegistry } from "../support/registry/registry.ts";
import { BIN, startServe, tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const run = promisify(execFile);

type World = AsyncDisposable & {
  readonly directory: TemporaryDirectory;
  readonly registry: Awaited<ReturnType<typeof startRegistry>>;
  readonly config: string;
};

/** Tags `1`, `2` of a repository that is mirrored beside itself. */
async function openWorld(mirror: object = {}, more: object = {}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const registry = stack.use(await startRegistry({ behaviour: { mount: "never" } }));
  for (const tag of ["1", "2"])
    await pushTo(registry, "a/app", buildImage({ seed: tag, layers: [2_000] }), tag);
  const config = await writeConfig(directory.path, {
    version: 1,
    registries: { [registry.host]: { plainHttp: true } },
    mirrors: [
      { source: `${registry.host}/a/app`, target: `${registry.host}/b/app`, tags: { all: true }, ...mirror },
    ],
    ...more,
  });
  const owned = stack.move();
  return { directory, registry, config, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe("the exit code", () => {
  test("is 0 when all is done, and 5 for a plan that finds changes when it is asked", async () => {
    await using world = await openWorld();
    expect((await tagferry(["plan", "-c", world.config])).code).toBe(0);
    expect((await tagferry(["plan", "-c", world.config, "--exit-code"])).code).toBe(5);
    expect((await tagferry(["sync", "-c", world.config])).code).toBe(0);
    expect((await tagferry(["plan", "-c", world.config, "--exit-code"])).code).toBe(0);
  });

  test("is 1 when some tags failed, and 2 when all did", async () => {
    await using world = await openWorld();
    const digest = world.registry.digestOf("a/app", "1");
    const undo = world.registry.on(
      { method: "GET", path: new RegExp(`/a/app/manifests/${digest}`), always: true },
      registryError(404, "MANIFEST_UNKNOWN"),
    );
    expect((await tagferry(["sync", "-c", world.config])).code).toBe(1);
    undo();
    world.registry.on({ kind: "tags", always: true }, registryError(404, "NAME_UNKNOWN"));
    expect((await tagferry(["sync", "-c", world.config])).code).toBe(2);
  });

  test("is 3 for the configuration and 4 for credentials that are refused", async () => {
    await using world = await openWorld({ tags: { glob: "[" } });
    expect((await tagferry(["sync", "-c", world.config])).code).toBe(3);
    await using closed = await openWorld();
    closed.registry.on({ always: true }, status(401, { headers: { "www-authenticate": 'Basic realm="x"' } }));
    expect((await tagferry(["sync", "-c", closed.config])).code).toBe(4);
  });

  test("is 5 when only a policy refused", async () => {
    await using world = await openWorld({ tags: { all: true, max: 1 } });
    expect((await tagferry(["sync", "-c", world.config])).code).toBe(5);
  });

  test.for([
    { signal: "SIGINT", code: 130 },
    { signal: "SIGTERM", code: 143 },
  ] as const)("is $code after $signal, which stops cleanly", async ({ signal, code }) => {
    await using world = await openWorld();
    world.registry.on({ method: "GET", kind: "blob", always: true }, stall({ afterBytes: 10 }));
    const child = spawn(BIN, ["sync", "-c", world.config], { stdio: ["ignore", "ignore", "pipe"] });
    const said = text(child.stderr);
    await until(() => world.registry.ledger.count({ method: "GET", kind: "blob" }) > 0);
    const ended = once(child, "exit");
    child.kill(signal);
    expect(await ended).toEqual([code, null]);
    expect(await said).toContain("no tag points to an incomplete image");
    expect(world.registry.digestOf("b/app", "1")).toBeUndefined();
  });
});

test("B6 an output path that cannot be written, or is something else, is named", async () => {
  await using world = await openWorld();
  const blocked = world.directory.join("file");
  await writeFile(blocked, "I was here first");
  const source = `${world.registry.host}/a/app:1`;
  const onFile = await tagferry(["copy", source, `oci:${blocked}:1`, "-c", world.config]);
  expect(onFile.stderr).toContain(blocked);
  expect(onFile.code).toBeGreaterThan(0);
  expect(onFile.stderr).not.toMatch(/\n\s+at /);
  const other = world.directory.join("other");
  await mkdir(other);
  await writeFile(`${other}/notes.txt`, "not a layout");
  const onOther = await tagferry(["copy", source, `oci:${other}:1`, "-c", world.config]);
  expect(onOther.stderr).toContain(other);
  expect(onOther.code).toBeGreaterThan(0);
});

test("B8 a reader that goes away ends it without a stack trace", async () => {
  await using world = await openWorld();
  const { stdout, stderr } = await run("bash", ["-c", `{ ${BIN} schema; echo "code $?" >&2; } | head -c 1`]);
  expect(stdout).toBe("{");
  expect(stderr).not.toMatch(/\n\s+at |EPIPE/);
  const closed = await run("bash", [
    "-c",
    `${BIN} tags -c ${world.config} ${world.registry.host}/a/app >&- 2>/dev/null; echo $?`,
  ]);
  expect(Number(closed.stdout)).toBeLessThan(142);
});

test("B10 runs under a UID that nobody knows, without a home, in a directory that cannot be written", async () => {
  await using world = await openWorld();
  await chmod(world.directory.path, 0o755);
  await chmod(world.config, 0o644);
  const nobody =
    process.getuid?.() === 0 ? ["setpriv", "--reuid=1000680000", "--regid=0", "--clear-groups"] : [];
  const [program, ...args] = [...nobody, BIN, "sync", "-c", world.config, "-o", "json"];
  const { stdout } = await run(program ?? BIN, args, { env: { PATH: process.env["PATH"] }, cwd: "/" });
  expect(JSON.parse(stdout)).toMatchObject({ totals: { copied: 2 } });
});

test("B11 needs no temporary directory", async () => {
  await using world = await openWorld();
  const done = await tagferry(["sync", "-c", world.config], { env: { TMPDIR: "/nonexistent" } });
  expect(done.code, done.stderr).toBe(0);
});

test("B12 a Node that is too old is told so by name, with what brings the right one", async () => {
  await using directory = await temporaryDirectory();
  await mkdir(directory.join("bin"));
  await mkdir(directory.join("old"));
  await run("cp", [BIN, directory.join("bin", "tagferry")]);
  await writeFile(directory.join("old", "node"), "#!/bin/sh\necho v20.20.2\n", { mode: 0o755 });
  const failed = await run(directory.join("bin", "tagferry"), ["--help"], {
    env: { PATH: `${directory.join("old")}:${process.env["PATH"]}` },
  }).catch((error: unknown) => error as { readonly code: number; readonly stderr: string });
  expect(failed).toMatchObject({ code: 3 });
  expect(failed.stderr).toMatch(/NODE_VERSION .*24\.12.*v20\.20\.2[^]*npm ci/);
});

test("B13 a port that is taken is named", async () => {
  await using world = await openWorld();
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  const failed = await tagferry(["serve", "-c", world.config, "--listen", `127.0.0.1:${port}`]);
  server.close();
  expect(failed.stderr).toContain("CONFIG_LISTEN");
  expect(failed.stderr).toContain(String(port));
  expect(failed.stderr).toContain("EADDRINUSE");
  expect(failed.code).toBe(3);
});

test("B14 an address of Redis that is none is refused without its password", async () => {
  await using world = await openWorld({}, { daemon: { redis: "redis://:canary@localhost:6379/x" } });
  const failed = await tagferry(["serve", "-c", world.config]);
  expect(failed.code).toBe(3);
  expect(failed.stderr).not.toContain("canary");
});

test("B15 a Redis that is not there leaves the daemon running, not ready, and saying why", async () => {
  await using world = await openWorld({}, { daemon: { redis: `redis://127.0.0.1:${await freePort()}` } });
  const { child, url } = await startServe(["-c", world.config, "--listen", "127.0.0.1:0"]);
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  const ready = await fetch(`${url}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.text()).toMatch(/redis/i);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
});

test("a second signal ends the daemon at once", async () => {
  await using world = await openWorld({}, { daemon: { grace: "60s" } });
  world.registry.on({ method: "GET", kind: "blob", always: true }, stall({ afterBytes: 10 }));
  const { child, url, said } = await startServe(["-c", world.config, "--listen", "127.0.0.1:0"]);
  await fetch(`${url}/api/v1/mirrors/b-app/sync`, { method: "POST", headers: { origin: url } });
  await until(() => world.registry.ledger.count({ method: "GET", kind: "blob" }) > 0);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await until(() => said().includes("stopping"));
  child.kill("SIGTERM");
  expect(await ended).toEqual([143, null]);
});

test("a worker without a Redis that it could share is refused", async () => {
  await using world = await openWorld();
  const failed = await tagferry(["worker", "-c", world.config]);
  expect(failed.stderr).toContain("CONFIG_REDIS");
  expect(failed.code).toBe(3);
});

test("status tells what a daemon knows, and that there is none", async () => {
  await using world = await openWorld();
  const { child, url } = await startServe(["-c", world.config, "--listen", "127.0.0.1:0"]);
  await fetch(`${url}/api/v1/mirrors/b-app/sync`, { method: "POST", headers: { origin: url } });
  const deadlineMs = Date.now() + 10_000;
  let told = await tagferry(["status", "--url", url, "-o", "json"]);
  while (!told.stdout.includes('"fresh"') && Date.now() < deadlineMs)
    told = await tagferry(["status", "--url", url, "-o", "json"]);
  expect(JSON.parse(told.stdout)).toMatchObject([{ name: "b-app", state: "fresh", tags: 2 }]);
  expect(told.code).toBe(0);
  expect((await tagferry(["status", "--url", url, "--live"])).code).toBe(0);
  child.kill("SIGKILL");
  await once(child, "exit");
  const away = await tagferry(["status", "--url", url]);
  expect(away.stderr).toContain("DAEMON_AWAY");
  expect(away.code).toBe(2);
});

test("copy refuses an image larger than --max-image-size, and a size that is none", async () => {
  await using directory = await temporaryDirectory();
  const [source, target] = [directory.join("source"), directory.join("target")];
  {
    await using layout = await openLayout(source, { create: true });
    await pushBuilt(layout, buildImage({ layers: [20_000] }), "1");
  }
  const copy = async (size: string): Promise<{ code: number | null; stderr: string }> =>
    tagferry(["copy", `oci:${source}:1`, `oci:${target}:1`, "--max-image-size", size]);
  const refused = await copy("10KiB");
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("IMAGE_TOO_LARGE");
  const wrong = await copy("ten");
  expect({ code: wrong.code, says: wrong.stderr }).toEqual({
    code: 3,
    says: expect.stringContaining("USAGE"),
  });
  expect((await copy("1MiB")).code).toBe(0);
});
