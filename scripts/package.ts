// Makes the npm package: `npm run package [-- --into DIR]`. It is the built form, without a dependency.

import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { makePackage } from "./build/package.ts";
import { revisionOf } from "./build/revision.ts";

const ROOT = join(import.meta.dirname, "..");

const { values } = parseArgs({ options: { into: { type: "string", default: join(ROOT, "release") } } });
const file = await makePackage(ROOT, resolve(values.into), await revisionOf(ROOT));
console.log(relative(process.cwd(), file));
