import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";

import { type Bundled, packageDirectoryOf } from "./bundle.ts";

/** A package of which code is in the bundle. */
export type BundledPackage = {
  /** Below the root, as the lock file names it: `node_modules/bullmq/node_modules/semver`. */
  readonly path: string;
  readonly name: string;
  readonly version: string;
  /** An SPDX expression. */
  readonly license: string;
  /** The texts that its licence wants to travel with it. */
  readonly notices: readonly string[];
  /** From the lock file: `sha512-…`. */
  readonly integrity: string;
  /** The paths of the packages that it imports. */
  readonly imports: readonly string[];
};

/** What is in a bundle besides the program. */
export type Contents = {
  readonly packages: readonly BundledPackage[];
  /** The paths of the packages that the program imports itself. */
  readonly direct: readonly string[];
};

/** In place of a path: the program. */
const PROGRAM = "";

type Lock = { readonly packages: Readonly<Record<string, { readonly integrity?: string }>> };

const NOTICE = /^(?:licen[cs]e|copying|notice)/i;

/**
 * The packages of a bundle, by what is really in it: not all that is installed is.
 *
 * @throws {Error} when one has no licence, no text of it, or no checksum
 */
export async function contentsOf(root: string, { modules, imports }: Bundled): Promise<Contents> {
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as Lock;
  const edges = edgesBetween(root, imports);
  const paths = new Set([...modules].map((module) => pathOf(root, module)));
  paths.delete(PROGRAM);
  const importsOf = (path: string): string[] =>
    [...(edges.get(path) ?? [])].filter((other) => paths.has(other)).toSorted();
  const packages = await Promise.all(
    [...paths].toSorted().map(async (path) => {
      const directory = join(root, path);
      const { name, version, license } = JSON.parse(
        await readFile(join(directory, "package.json"), "utf8"),
      ) as Record<"name" | "version" | "license", string | undefined>;
      const files = (await readdir(directory)).filter((file) => NOTICE.test(file)).toSorted();
      const integrity = lock.packages[path]?.integrity;
      if (!name || !version || !license || !integrity || files.length === 0)
        throw new Error(`${path} cannot be shipped: no name, version, licence or checksum of it is known`);
      const notices = await Promise.all(files.map((file) => readFile(join(directory, file), "utf8")));
      return { path, name, version, license, notices, integrity, imports: importsOf(path) };
    }),
  );
  return { packages, direct: importsOf(PROGRAM) };
}

function pathOf(root: string, module: string): string {
  const directory = packageDirectoryOf(module);
  return directory === undefined ? PROGRAM : relative(root, directory);
}

function edgesBetween(root: string, imports: Bundled["imports"]): ReadonlyMap<string, ReadonlySet<string>> {
  const edges = new Map<string, Set<string>>();
  for (const [importer, imported] of imports) {
    const from = pathOf(root, importer);
    const to = edges.get(from) ?? new Set();
    edges.set(from, to);
    for (const module of imported) if (pathOf(root, module) !== from) to.add(pathOf(root, module));
  }
  return edges;
}

/** The licences of what is bundled, as one text. */
export function noticesOf(packages: readonly BundledPackage[]): string {
  const parts = packages.map(
    ({ name, version, license, notices }) =>
      `${name} ${version} (${license})\n\n${notices.map((text) => text.trim()).join("\n\n")}\n`,
  );
  return `Tagferry contains code of these packages.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
