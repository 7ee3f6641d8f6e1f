import { createHash } from "node:crypto";
import { globSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

/** What a build is made of: whoever changes it has to build again. */
export const SOURCES = ["src", "scripts/build", "scripts/build.ts", "package.json", "package-lock.json"];

/** One SHA-256 (hexadecimal) of files and of all that is in directories, with their names. bin/built.cjs asks it, too. */
export function fingerprintOf(root: string, paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of paths.flatMap((path) => filesAt(join(root, path))).toSorted()) {
    const content = createHash("sha256").update(readFileSync(file)).digest("hex");
    hash.update(`${content}  ${relative(root, file)}\n`);
  }
  return hash.digest("hex");
}

function filesAt(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return globSync("**", { cwd: path, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
