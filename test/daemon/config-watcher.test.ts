import { mkdir, rename, symlink, writeFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { loadConfig } from "../../src/config/file/load.ts";
import { openConfigWatcher } from "../../src/daemon/config-watcher.ts";
import { makeAuthority } from "../support/certificates.ts";
import { until } from "../support/daemon-scene.ts";
import { SILENT } from "../support/registry/client.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const text = (name: string, more: object = {}): string =>
  JSON.stringify({
    version: 1,
    mirrors: [{ name, source: "quay.example/a/b", target: "imagestream:web/b", tags: ["1"] }],
    ...more,
  });

/** As the kubelet mounts a ConfigMap: the file is a link through `..data`, which is swapped. */
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
  readonly living: Awaited<ReturnType<typeof openConfigWatcher>>;
  readonly changes: string[];
  readonly broken: string[];
}> {
  const changes: string[] = [];
  const broken: string[] = [];
  const living = await openConfigWatcher({
    load: () => loadConfig({ env: {}, directory: directory.path }),
    log: SILENT,
    onChange: ({ mirrors }) => void changes.push(mirrors[0]?.name ?? ""),
    onBroken: ({ code }) => void broken.push(code),
    pollMs,
  });
  return { living, changes, broken };
}

test("takes up a ConfigMap that the kubelet swapped", async () => {
  await using directory = await temporaryDirectory();
  await mount(directory, "one", text("first"));
  await symlink("..data/tagferry.yaml", directory.join("tagferry.yaml"));
  const { living, changes } = await open(directory);
  using _ = living;
  await mount(directory, "two", text("second"));
  await until(() => changes.length === 1);
  expect(changes).toEqual(["second"]);
  expect(living.current().mirrors[0]?.name).toBe("second");
});

test("tells of a broken file once, however often it is looked at, and of the one that mends it", async () => {
  await using directory = await temporaryDirectory();
  const file = directory.join("tagferry.yaml");
  await writeFile(file, text("first"));
  const { living, changes, broken } = await open(directory);
  using _ = living;
  await writeFile(file, "version: 1\nmirrors: 5\n");
  await until(() => broken.length === 1);
  await living.look();
  await living.look();
  expect(broken).toEqual(["CONFIG_INVALID"]);
  expect(living.failure()?.code).toBe("CONFIG_INVALID");
  expect(living.current().mirrors[0]?.name).toBe("first");
  await writeFile(file, text("first"));
  await until(() => changes.length === 1);
  expect(living.failure()).toBeUndefined();
});

test("a file that says the same is no change", async () => {
  await using directory = await temporaryDirectory();
  const file = directory.join("tagferry.yaml");
  await writeFile(file, text("first"));
  const { living, changes } = await open(directory);
  using _ = living;
  await writeFile(file, text("first"));
  await living.look();
  expect(changes).toEqual([]);
});

test("a certificate that was renewed is taken up, although the file that names it is the same", async () => {
  await using directory = await temporaryDirectory();
  const [one, other] = [await makeAuthority("tagferry-first"), await makeAuthority("tagferry-second")];
  const ca = directory.join("ca.crt");
  await writeFile(ca, one.ca.cert);
  await writeFile(directory.join("tagferry.yaml"), text("first", { registries: { "quay.example": { ca } } }));
  const { living, changes } = await open(directory, 50);
  using _ = living;
  await writeFile(ca, other.ca.cert);
  await until(() => changes.length === 1);
  expect(living.current().registries[0]?.ca).toBe(other.ca.cert);
});
