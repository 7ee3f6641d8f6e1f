import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { makeInstallation } from "../../scripts/build/installation.ts";
import { revisionOf } from "../../scripts/build/revision.ts";

const ROOT = resolve(import.meta.dirname, "../..");

export type Installation = AsyncDisposable & {
  /** Its program. */
  readonly bin: string;
};

/** The built form as an image has it: no source, and the Node beside the program. Made in a second or two, gone when it is disposed of. */
export async function openInstallation(directory?: string): Promise<Installation> {
  const into = directory ?? (await mkdtemp(join(tmpdir(), "tagferry-built-")));
  await makeInstallation({ root: ROOT, into, revision: await revisionOf(ROOT), compiled: true });
  await mkdir(join(into, "node_modules/.bin"), { recursive: true });
  await symlink(process.execPath, join(into, "node_modules/.bin/node"));
  return {
    bin: join(into, "bin/tagferry"),
    [Symbol.asyncDispose]: () => rm(into, { recursive: true, force: true }),
  };
}
