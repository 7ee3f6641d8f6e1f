import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import { makePackage } from "../../../scripts/build/package.ts";
import type { Provenance } from "../../../scripts/build/provenance.ts";
import { sha256Of } from "../../../scripts/build/provenance.ts";
import { buildIndex, pushTo } from "../../support/images/images.ts";
import { startDockerRegistry } from "../../support/servers.ts";
import { runProgram, writeConfig } from "../../support/tagferry.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const run = promisify(execFile);
/** Each test builds, which takes a second or two on an idle machine. */
const BUILDING = { timeout: 120_000 };

test("the npm package, unpacked, validates and copies; it needs no other package", BUILDING, async () => {
  await using directory = await temporaryDirectory();
  await using source = await startDockerRegistry();
  await using target = await startDockerRegistry();
  const revision = { commit: "0".repeat(40), changed: false };
  const file = await makePackage(ROOT, directory.join("release"), revision);
  expect(basename(file)).toMatch(/^tagferry-\d+\.\d+\.\d+\.tgz$/);

  await mkdir(directory.join("lib"));
  await run("tar", ["-xzf", file, "-C", directory.join("lib")]);
  const home = directory.join("lib/package");
  expect((await readdir(home)).toSorted()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "bin",
    "config",
    "dist",
    "package.json",
  ]);
  // compiled code works only with the Node that wrote it, and a package is used with other versions
  expect(await readdir(`${home}/dist`)).not.toContain("cache");
  expect(JSON.parse(await readFile(`${home}/config/schema.json`, "utf8"))).toHaveProperty("properties");

  // as installed by npm: through a link, with the Node of the system
  await mkdir(directory.join("bin"));
  await symlink(`${home}/bin/tagferry`, directory.join("bin/tagferry"));
  const env = { PATH: `${dirname(process.execPath)}:${process.env["PATH"]}`, HOME: directory.path };
  const tagferry = (...args: string[]): ReturnType<typeof runProgram> =>
    runProgram(directory.join("bin/tagferry"), args, { env });
  const image = buildIndex({ seed: "packed" });
  await pushTo(source, "acme/app", image, "1");
  const config = await writeConfig(directory.path, {
    version: 1,
    registries: { [source.host]: { plainHttp: true }, [target.host]: { plainHttp: true } },
    mirrors: [{ source: `${source.host}/acme/app`, target: `${target.host}/copy/app`, tags: ["1"] }],
  });
  expect((await tagferry("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(await tagferry("validate", config)).toMatchObject({ code: 0, stderr: "" });
  expect(await tagferry("sync", "-c", config, "--no-progress")).toMatchObject({ code: 0 });
  const copied = await fetch(`${target.url}/v2/copy/app/manifests/1`, {
    headers: { accept: image.manifest.mediaType },
  });
  expect(Buffer.from(await copied.arrayBuffer())).toEqual(Buffer.from(image.manifest.bytes));
  // compiled code is cached in the user's directory
  expect(await readdir(directory.join(".cache/tagferry/compiled"))).toHaveLength(1);
});

test(
  "the same commit makes the same package, with its SBOM and its provenance beside it",
  BUILDING,
  async () => {
    await using directory = await temporaryDirectory();
    const revision = { commit: "1".repeat(40), changed: false };
    const file = await makePackage(ROOT, directory.join("one"), revision);
    const again = await makePackage(ROOT, directory.join("other"), revision);
    const bytes = await readFile(file);
    expect(await readFile(again)).toEqual(bytes);
    expect((await readdir(directory.join("one"))).toSorted()).toEqual([
      basename(file),
      `${basename(file)}.cdx.json`,
      `${basename(file)}.provenance.json`,
    ]);
    const { subject, predicate } = JSON.parse(
      await readFile(`${file}.provenance.json`, "utf8"),
    ) as Provenance;
    expect(subject).toEqual([{ name: basename(file), digest: { sha256: sha256Of(bytes) } }]);
    expect(predicate.buildDefinition.resolvedDependencies).toContainEqual({
      uri: "urn:tagferry:source",
      digest: { gitCommit: "1".repeat(40) },
    });
  },
);
