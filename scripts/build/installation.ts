import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { bundle } from "./bundle.ts";
import { writeCompiled } from "./compile.ts";
import { fingerprintOf, SOURCES } from "./fingerprint.ts";
import { contentsOf, noticesOf } from "./packages.ts";
import { provenanceOf, type Revision, sha256Of, type Subject } from "./provenance.ts";
import { programComponent, sbomOf } from "./sbom.ts";

export type InstallationOptions = {
  /** The checkout. */
  readonly root: string;
  /** Where `dist` goes; the checkout itself, or a directory that becomes an installation: bin, dist, config, documents. */
  readonly into: string;
  readonly revision: Revision;
  /** Whether the code that V8 compiled goes with it. Only the Node that wrote it takes it. */
  readonly compiled: boolean;
};

/** What an installation has besides `dist`. */
export const COPIED = ["bin", "config", "CHANGELOG.md", "LICENSE", "README.md"];

/** Makes the built form, with all that tells what it is: build.json, sbom.cdx.json, THIRD-PARTY.txt, provenance.json. */
export async function makeInstallation({
  root,
  into,
  revision,
  compiled,
}: InstallationOptions): Promise<void> {
  const dist = join(into, "dist");
  await rm(dist, { recursive: true, force: true });
  const bundled = await bundle(root, dist);
  const contents = await contentsOf(root, bundled);
  const { version, ...manifest } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Manifest;
  const write = async (name: string, what: unknown): Promise<void> =>
    writeFile(join(dist, name), typeof what === "string" ? what : `${JSON.stringify(what, undefined, 2)}\n`);
  await write("THIRD-PARTY.txt", noticesOf(contents.packages));
  await write("sbom.cdx.json", sbomOf(programComponent(version), contents));
  const chunks = (await readdir(dist)).filter((name) => name.endsWith(".cjs")).toSorted();
  await write("build.json", {
    version,
    revision,
    node: process.versions.node,
    sources: fingerprintOf(root, SOURCES),
    chunks: Object.fromEntries(chunks.map((name) => [name, fingerprintOf(dist, [name])])),
  });
  if (into !== root) await copyAround(root, into, { version, ...manifest });
  if (compiled) await writeCompiled(into);
  const subjects = await subjectsIn(dist);
  await write("provenance.json", await provenanceOf({ root, kind: "dist", revision, subjects }));
}

type Manifest = { readonly version: string } & Readonly<Record<string, unknown>>;

/** What npm has to know of a package that needs no other. */
const MANIFEST_KEYS = ["name", "version", "description", "license", "bin", "engines"];

async function copyAround(root: string, into: string, manifest: Manifest): Promise<void> {
  await mkdir(into, { recursive: true });
  for (const name of COPIED) await cp(join(root, name), join(into, name), { recursive: true });
  await chmod(join(into, "bin/tagferry"), 0o755);
  const kept = Object.fromEntries(MANIFEST_KEYS.map((key) => [key, manifest[key]]));
  await writeFile(join(into, "package.json"), `${JSON.stringify(kept, undefined, 2)}\n`);
}

async function subjectsIn(directory: string): Promise<Subject[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    files.map(async (file) => ({
      name: `dist/${file.slice(directory.length + 1)}`,
      digest: { sha256: sha256Of(await readFile(file)) },
    })),
  );
}
