import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, test } from "vitest";

import { type Digest, encodedOf } from "../../src/oci/digest.ts";
import type { Report } from "../../src/sync/report.ts";
import {
  buildImage,
  buildIndex,
  buildSbom,
  cosignTag,
  pushTo,
  signCosign,
  withReferrers,
} from "../support/images/images.ts";
import { startRegistry } from "../support/registry/registry.ts";
import { skopeo, startDockerRegistry } from "../support/servers.ts";
import { type Run, tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const image = buildIndex({ layers: 2 });
const [child = image] = image.children;
const [, layer = image.manifest.digest] = child.blobs.keys();

test("`--verify=bytes` finds a byte that was altered in a layout, names its digest and heals it", async () => {
  await using setting = await openSetting();
  const { directory, run } = setting;
  const layout = directory.join("layout");
  await run({ target: `oci:${layout}` });
  const path = join(layout, "blobs", "sha256", encodedOf(layer));
  const bytes = await alter(path);

  expect(outcomeOf(await run({ target: `oci:${layout}` }, "--verify=presence"))).toMatchObject({
    kind: "unchanged",
  });
  const healing = await run({ target: `oci:${layout}` }, "--verify=bytes");
  expect(outcomeOf(healing)).toMatchObject({
    kind: "copied",
    healed: { content: 1, digests: [layer] },
    moved: { blobs: { pushed: 1 } },
  });
  expect(healing.code).toBe(0);
  expect(await readFile(path)).toEqual(bytes);
  expect(outcomeOf(await run({ target: `oci:${layout}` }, "--verify=bytes"))).toMatchObject({
    kind: "unchanged",
  });
});

test("`--verify=presence` finds a file that was cut off, and one that is gone", async () => {
  await using setting = await openSetting();
  const { directory, run } = setting;
  const layout = directory.join("layout");
  await run({ target: `oci:${layout}` });
  const [first = "", second = ""] = [...child.blobs.keys()].map((digest) =>
    join(layout, "blobs", "sha256", encodedOf(digest)),
  );
  await truncate(first, 1);
  await rm(second);
  const healing = await run({ target: `oci:${layout}` }, "--verify=presence");
  expect(outcomeOf(healing)).toMatchObject({ kind: "copied", healed: { content: 2 } });
  await skopeo(["copy", "--all", `oci:${layout}:1`, `oci:${directory.join("pulled")}:1`]);
});

test("`--verify=presence` finds an SBOM of a layout whose manifest was cut off", async () => {
  await using setting = await openSetting();
  const { directory, run } = setting;
  const layout = directory.join("layout");
  const sbom = await setting.describe();
  await run({ target: `oci:${layout}` });
  const path = join(layout, "blobs", "sha256", encodedOf(sbom));
  const whole = await readFile(path);
  await truncate(path, 100);
  const healing = await run({ target: `oci:${layout}` }, "--verify=presence");
  expect(outcomeOf(healing)).toMatchObject({ kind: "copied", healed: { content: 0, referrers: 1 } });
  expect(healing.code).toBe(0);
  expect(await readFile(path)).toEqual(whole);
  expect(outcomeOf(await run({ target: `oci:${layout}` }, "--verify=presence"))).toMatchObject({
    kind: "unchanged",
  });
});

test("a file that was altered in docker-registry's storage is named, and healed when the registry has no file any more", async () => {
  await using setting = await openSetting();
  await using storage = await temporaryDirectory();
  await using registry = await startDockerRegistry({ storage: { directory: storage.path } });
  const to = { target: `${registry.host}/mirror/app`, host: registry.host };
  await setting.run(to);
  const hex = encodedOf(layer);
  const path = storage.join("docker", "registry", "v2", "blobs", "sha256", hex.slice(0, 2), hex, "data");
  const bytes = await alter(path);

  expect(outcomeOf(await setting.run(to, "--verify=presence"))).toMatchObject({ kind: "unchanged" });
  // distribution keeps the file that it has under a digest, and drops what is uploaded again
  const kept = await setting.run(to, "--verify=bytes");
  expect(outcomeOf(kept)).toMatchObject({ kind: "failed", failure: { code: "TARGET_UNPROVEN" } });
  expect(JSON.stringify(outcomeOf(kept))).toContain(layer);
  expect(kept.code).toBe(2);
  expect(await readFile(path)).not.toEqual(bytes);

  await rm(path);
  const healing = await setting.run(to, "--verify=bytes");
  expect(outcomeOf(healing)).toMatchObject({ kind: "copied", healed: { content: 1, digests: [layer] } });
  expect(await readFile(path)).toEqual(bytes);
  await skopeo([
    "copy",
    "--all",
    "--src-tls-verify=false",
    `docker://${registry.host}/mirror/app:1`,
    `oci:${setting.directory.join("pulled")}:1`,
  ]);
});

test("a byte that was altered in a registry that takes uploads again is healed", async () => {
  await using setting = await openSetting();
  await using registry = await startRegistry();
  const to = { target: `${registry.host}/mirror/app`, host: registry.host };
  await setting.run(to);
  const bytes = registry.store.blobs.get(layer) ?? new Uint8Array();
  registry.store.blobs.set(layer, altered(bytes));
  expect(outcomeOf(await setting.run(to, "--verify=bytes"))).toMatchObject({
    kind: "copied",
    healed: { content: 1, digests: [layer] },
  });
  expect(registry.store.blobs.get(layer)).toEqual(bytes);
});

test("a signature that is new in the listing travels with the next sync", async () => {
  await using setting = await openSetting();
  await using registry = await startRegistry();
  const to = { target: `${registry.host}/mirror/app`, host: registry.host };
  await setting.run(to);
  await setting.sign();
  expect(outcomeOf(await setting.run(to))).toMatchObject({ kind: "copied", healed: { referrers: 1 } });
  expect(registry.tags("mirror/app")).toContain(cosignTag(image.manifest.digest));
  expect(outcomeOf(await setting.run(to))).toMatchObject({ kind: "unchanged" });
});

test("`--verify` with another word is a mistake of the command line", async () => {
  const run = await tagferry(["sync", "--verify=everything"]);
  expect(run.stderr).toContain("presence, bytes");
  expect(run.code).toBe(3);
});

type Setting = AsyncDisposable & {
  readonly directory: TemporaryDirectory;
  /** `tagferry sync` of one tag, with records of proofs that outlive the command. */
  readonly run: (
    to: { readonly target: string; readonly host?: string },
    ...flags: readonly string[]
  ) => Promise<Run>;
  sign(): Promise<void>;
  /** Gives the image an SBOM. Returns its digest. */
  describe(): Promise<Digest>;
};

async function openSetting(): Promise<Setting> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const source = stack.use(await startRegistry());
  await pushTo(source, "team/app", image, "1");
  await pushTo(source, "team/app", buildImage({ seed: "other" }), "other");
  const owned = stack.move();
  return {
    directory,
    async run({ target, host = source.host }, ...flags) {
      const config = await writeConfig(directory.path, {
        version: 1,
        registries: Object.fromEntries([source.host, host].map((one) => [one, { plainHttp: true }])),
        mirrors: [{ name: "app", source: `${source.host}/team/app`, target, tags: { glob: "1" } }],
      });
      const env = { XDG_CACHE_HOME: directory.join("cache") };
      return tagferry(["sync", "-c", config, "-o", "json", ...flags], { env });
    },
    async describe() {
      const sbom = buildSbom(image);
      await pushTo(source, "team/app", withReferrers(image, sbom), "1");
      return sbom.manifest.digest;
    },
    async sign() {
      await pushTo(source, "team/app", signCosign(image), "1");
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function outcomeOf({ stdout, stderr }: Run): Report["mirrors"][number]["outcomes"][number] | undefined {
  if (stdout === "") throw new Error(stderr);
  return (JSON.parse(stdout) as Report).mirrors[0]?.outcomes[0];
}

/** Changes one byte of a file in its middle, and returns what the file was. */
async function alter(path: string): Promise<Buffer> {
  const bytes = await readFile(path);
  await writeFile(path, altered(bytes));
  return bytes;
}

function altered(bytes: Uint8Array): Uint8Array {
  const other = Uint8Array.from(bytes);
  const middle = bytes.length >> 1;
  other[middle] = (other[middle] ?? 0) ^ 1;
  return other;
}
