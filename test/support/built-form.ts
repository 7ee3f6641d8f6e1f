import { dirname } from "node:path";

import type { TestProject } from "vitest/node";

import { openInstallation } from "./installation.ts";

/** Makes the installation at TAGFERRY_BIN before the tests of the built form, and deletes it afterwards. */
export async function setup({ config }: TestProject): Promise<() => Promise<void>> {
  const bin = config.env["TAGFERRY_BIN"];
  if (bin === undefined) throw new Error("TAGFERRY_BIN does not say where the built form goes");
  const installation = await openInstallation(dirname(dirname(bin)));
  return async () => installation[Symbol.asyncDispose]();
}
