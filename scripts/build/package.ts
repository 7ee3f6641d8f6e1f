import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtempDisposable, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";

import { makeInstallation } from "./installation.ts";
import { provenanceOf, type Revision, sha256Of } from "./provenance.ts";

const execute = promisify(execFile);

/**
 * Makes the npm package: `tagferry-VERSION.tgz`, and beside it what is in it (`.cdx.json`) and what it was made of
 * (`.provenance.json`). It has no dependencies, and nothing that V8 compiled: npm may install it for any Node.
 *
 * @returns the path of the package
 */
export async function makePackage(root: string, into: string, revision: Revision): Promise<string> {
  await using directory = await mkdtempDisposable(join(tmpdir(), "tagferry-pack-"));
  await makeInstallation({ root, into: directory.path, revision, compiled: false });
  await mkdir(into, { recursive: true });
  // the same files give the same package: npm sets their times and owners itself
  const { stdout } = await execute("npm", ["pack", directory.path, "--json", "--pack-destination", into]);
  const name = nameIn(JSON.parse(stdout));
  const file = join(into, name);
  const subjects = [{ name, digest: { sha256: sha256Of(await readFile(file)) } }];
  const provenance = await provenanceOf({ root, kind: "package", revision, subjects });
  await writeFile(`${file}.provenance.json`, `${JSON.stringify(provenance, undefined, 2)}\n`);
  await copyFile(join(directory.path, "dist/sbom.cdx.json"), `${file}.cdx.json`);
  return file;
}

/** npm's answer is a list, and since npm 12 a map by name. */
function nameIn(answer: unknown): string {
  const [one] = Object.values(answer as Record<string, { readonly filename: string }>);
  if (!one) throw new Error("npm has packed nothing");
  return basename(one.filename);
}
