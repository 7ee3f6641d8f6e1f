import { mkdir, rename, symlink, writeFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { loadConfig } from "../../src/config/file/load.ts";
import { type ActiveConfigs, openActiveConfigs } from "../../src/daemon/active-config.ts";
import { watchConfig } from "../../src/daemon/config-watcher.ts";
import { openContext } from "../../src/sync/context.ts";
import { makeAuthority } from "../support/certificates.ts";
import { openDaemonScene, until } from "../support/daemon-scene.ts";
import { SILENT } from "../support/registry/client.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const text = (name: string, more: object = {}): string =>
  JSON.stringify({
    version: 1,
    mirrors: [{ name, source: "quay.example/a/b", target: "imagestream:web/b", tags: ["1"] }],
    ...more,
  });

/** Like a ConfigMap that the kubelet mounts: the file is a link through `..data`, and that link is replaced. */
async function mount(directory: TemporaryDirectory, generation: string, content: string): Promise<void> {
  await mkdir(directory.join(`..${generation}`));
  await writeFile(directory.join(`..${generation}`, "tagferry.yaml"), content);
  await symlink(`..${generation}`, directory.join("..data_tmp"));
  await rename(directory.join("..data_tmp"), directory.join("..data"));
}

async function open(
  directory: TemporaryDirectory,
  pollMs = 60_000,
): Promise<{
  readonly active: ActiveConfigs;
  readonly changes: string[];
  readonly broken: string[];
  /** How often the file was parsed. */
  readonly loads: () => number;
  readonly [Symbol.dispose]: () => void;
}> {
  const changes: string[] = [];
  const broken: string[] = [];
  let loads = 0;
  const load = (): ReturnType<typeof loadConfig> => {
    loads += 1;
    return loadConfig({ env: {}, directory: directory.path });
  };
  const first = await load();
  const active = openActiveConfigs({
    first,
    load,
    open: (config) => openContext({ config, env: {}, log: SILENT }),
    log: SILENT,
    now: () => new Date(),
    onChange: ({ config }) => void changes.push(config.mirrors[0]?.name ?? ""),
    onBroken: ({ code }) => void broken.push(code),
  });
  const watcher = watchConfig({ file: first.config.file, onChange: active.reload, pollMs });
  return { active, changes, broken, loads: () => loads, [Symbol.dispose]: () => watcher[Symbol.dispose]() };
}

test("takes up a ConfigMap that the kubelet swapped", async () => {
  await using directory = await temporaryDirectory();
  await mount(directory, "one", text("first"));
  await symlink("..data/tagferry.yaml", directory.join("tagferry.yaml"));
  using opened = await open(directory);
  const { active, changes } = opened;
  await mount(directory, "two", text("second"));
  await until(() => changes.length === 1);
  expect(changes).toEqual(["second"]);
  expect(active.current().config.mirrors[0]?.name).toBe("second");
});

test("tells of a broken file once, however often it is looked at, and of the one that mends it", async () => {
  await using directory = await temporaryDirectory();
  const file = directory.join("tagferry.yaml");
  await writeFile(file, text("first"));
  using opened = await open(directory);
  const { active, changes, broken } = opened;
  await writeFile(file, "version: 1\nmirrors: 5\n");
  await until(() => broken.length === 1);
  await active.reload();
  await active.reload();
  expect(broken).toEqual(["CONFIG_INVALID"]);
  expect(active.failure()?.code).toBe("CONFIG_INVALID");
  expect(active.current().config.mirrors[0]?.name).toBe("first");
  await writeFile(file, text("first"));
  await until(() => changes.length === 1);
  expect(active.failure()).toBeUndefined();
});

test("a file that says the same is no change", async () => {
  await using directory = await temporaryDirectory();
  const file = directory.join("tagferry.yaml");
  await writeFile(file, text("first"));
  using opened = await open(directory);
  const { active, changes } = opened;
  await writeFile(file, text("first"));
  await active.reload();
  expect(changes).toEqual([]);
});

test("a certificate that was renewed is taken up, although the file that names it is the same", async () => {
  await using directory = await temporaryDirectory();
  const [one, other] = [await makeAuthority("tagferry-first"), await makeAuthority("tagferry-second")];
  const ca = directory.join("ca.crt");
  await writeFile(ca, one.ca.cert);
  await writeFile(directory.join("tagferry.yaml"), text("first", { registries: { "quay.example": { ca } } }));
  using opened = await open(directory, 50);
  const { active, changes } = opened;
  await writeFile(ca, other.ca.cert);
  await until(() => changes.length === 1);
  expect(active.current().config.registries[0]?.ca).toBe(other.ca.cert);
});

test("a file that has not changed is not parsed again, however often it is looked at", async () => {
  await using directory = await temporaryDirectory();
  const file = directory.join("tagferry.yaml");
  await writeFile(file, text("first"));
  using opened = await open(directory);
  const { active, loads } = opened;
  await active.reload();
  const before = loads();
  for (let look = 0; look < 20; look += 1) await active.reload();
  expect(loads()).toBe(before);
  await writeFile(file, text("second"));
  await active.reload();
  await active.reload();
  expect(loads()).toBe(before + 1);
  expect(active.current().config.mirrors[0]?.name).toBe("second");
});

test("page and work agree when the file is saved between the first reading and the watch", async () => {
  await using scene = await openDaemonScene();
  const mirror = (name: string): object => ({
    name,
    source: `${scene.source.host}/a/b`,
    target: "imagestream:web/b",
    tags: ["1"],
  });
  await scene.configure([mirror("first")]);
  let readings = 0;
  const { view } = await scene.start({
    async load() {
      const loaded = await loadConfig({ file: scene.file, env: {}, directory: "/" });
      readings += 1;
      if (readings === 1) await scene.configure([mirror("second")]);
      return loaded;
    },
  });
  await until(async () => (await view.mirrors())[0]?.name === "second");
  expect(await view.sync("second", "a test")).toBe("queued");
  // the workers know it too: the run begins, and its job is not given back as one of an unknown mirror
  await until(async () => (await view.runs({ mirror: "second" })).length === 1);
});
