import { chmod, copyFile, readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

import { expect, test } from "vitest";

import packageJson from "../../../package.json" with { type: "json" };
import type { Provenance } from "../../../scripts/build/provenance.ts";
import { sha256Of } from "../../../scripts/build/provenance.ts";
import type { Sbom } from "../../../scripts/build/sbom.ts";
import { BIN, runProgram, tagferry, writeConfig } from "../../support/tagferry.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const HOME = dirname(dirname(BIN));
const read = (path: string): Promise<string> => readFile(join(HOME, path), "utf8");
const json = async <T>(path: string): Promise<T> => JSON.parse(await read(path)) as T;

const COUNT = join(ROOT, "test/support/count-compiled.cjs");

test("the tests of this project run an installation, with no source and no package in it", async () => {
  expect(HOME).not.toContain(ROOT);
  expect((await readdir(HOME)).toSorted()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "bin",
    "config",
    "dist",
    "node_modules",
    "package.json",
  ]);
  expect(await readdir(join(HOME, "node_modules"))).toEqual([".bin"]);
  const { version, ...others } = await json<Record<string, unknown>>("package.json");
  expect(version).toBe(packageJson.version);
  expect(others).not.toHaveProperty("dependencies");
  expect(others).not.toHaveProperty("private");
  expect(await tagferry(["--version"])).toMatchObject({ code: 0, stdout: `${packageJson.version}\n` });
});

test("what V8 compiled at the build is taken under any user, where nothing may be written", async () => {
  await using directory = await temporaryDirectory();
  const mirror = { source: "quay.io/a/b", target: "imagestream:web/b", tags: ["1"] };
  const config = await writeConfig(directory.path, { version: 1, mirrors: [mirror] });
  const count = directory.join("count.cjs");
  await copyFile(COUNT, count);
  await chmod(directory.path, 0o755);
  for (const file of [config, count]) await chmod(file, 0o644);
  const nobody = ["--reuid=1000680000", "--regid=0", "--clear-groups"];
  const env = { NODE_OPTIONS: `--require=${count}` };
  const done = await (process.getuid?.() === 0
    ? runProgram("setpriv", [...nobody, BIN, "validate", config], { env })
    : tagferry(["validate", config], { env }));
  expect(done, done.stderr).toMatchObject({ code: 0 });
  const [, taken, scripts] = /(\d+) of (\d+) scripts/.exec(done.stderr) ?? [];
  expect(Number(scripts)).toBeGreaterThan(3);
  expect(taken).toBe(scripts);
});

test("every chunk that a command or the daemon begins with was compiled", async () => {
  const compiled = await readdir(join(HOME, "dist/cache"));
  const names = compiled.map((name) => name.replace(/(?:-[\w-]{8})?\.cjs$/, ""));
  expect(names).toEqual(expect.arrayContaining(["main", "serve", "status", "sync", "validate", "plan"]));
});

test("a stack trace leads to the source when it is asked to", async () => {
  const map = await json<{ sources: string[]; sourcesContent: string[] }>("dist/main.cjs.map");
  const [source = "", content = ""] =
    map.sources
      .map((name, index) => [name, map.sourcesContent[index]] as const)
      .find(([name]) => name.endsWith("src/main.ts")) ?? [];
  expect(source).not.toBe("");
  expect(content).toBe(await readFile(join(ROOT, "src/main.ts"), "utf8"));
  const mapped = await tagferry(["--version"], { env: { NODE_OPTIONS: "--enable-source-maps" } });
  expect(mapped).toMatchObject({ code: 0, stdout: `${packageJson.version}\n` });
});

test("the SBOM names what is in the bundle, with licence and checksum, and no tool of development", async () => {
  const { metadata, components, dependencies } = await json<Sbom>("dist/sbom.cdx.json");
  expect(metadata.component).toMatchObject({ name: "tagferry", version: packageJson.version });
  const names = components.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(Object.keys(packageJson.dependencies)));
  expect(names.filter((name) => name in packageJson.devDependencies)).toEqual([]);
  const notices = await read("dist/THIRD-PARTY.txt");
  const lock = JSON.parse(await readFile(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version: string; integrity: string }>;
  };
  for (const { "bom-ref": ref, name, version, purl, licenses, hashes } of components) {
    const locked = lock.packages[ref.slice(0, ref.lastIndexOf("@"))];
    expect(locked?.version).toBe(version);
    const hash = Buffer.from(hashes?.[0]?.content ?? "", "hex").toString("base64");
    expect(`sha512-${hash}`).toBe(locked?.integrity);
    expect(purl).toBe(`pkg:npm/${name.replace("@", "%40")}@${version}`);
    expect(licenses).toHaveLength(1);
    expect(notices).toContain(`\n${name} ${version} (`);
  }
  const refs = new Set([metadata.component["bom-ref"], ...components.map((one) => one["bom-ref"])]);
  expect(new Set(dependencies.map(({ ref }) => ref))).toEqual(refs);
  for (const { dependsOn } of dependencies) for (const ref of dependsOn) expect(refs).toContain(ref);
  const direct = dependencies.find(({ ref }) => ref === metadata.component["bom-ref"])?.dependsOn;
  expect(direct?.map((ref) => ref.replace(/^node_modules\/|@[^@]*$/g, ""))).toEqual(
    Object.keys(packageJson.dependencies).toSorted(),
  );
});

test("the provenance names every file of dist, the commit and the lock file", async () => {
  const { subject, predicateType, predicate } = await json<Provenance>("dist/provenance.json");
  expect(predicateType).toBe("https://slsa.dev/provenance/v1");
  const entries = await readdir(join(HOME, "dist"), { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(HOME.length + 1))
    .filter((name) => name !== "dist/provenance.json");
  expect(subject.map(({ name }) => name).toSorted()).toEqual(files.toSorted());
  for (const { name, digest } of subject)
    expect(digest.sha256, name).toBe(sha256Of(await readFile(join(HOME, name))));
  const lock = sha256Of(await readFile(join(ROOT, "package-lock.json")));
  expect(predicate.buildDefinition.resolvedDependencies).toEqual(
    expect.arrayContaining([
      {
        uri: "urn:tagferry:source",
        digest: { gitCommit: expect.stringMatching(/^[0-9a-f]{40}$|^unknown$/) },
      },
      { uri: "file:package-lock.json", digest: { sha256: lock } },
      { uri: `pkg:generic/node@${process.versions.node}` },
    ]),
  );
});
