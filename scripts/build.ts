// Makes the built form: `npm run build -- --help`. bin/tagferry runs it where there is no source, or when TAGFERRY_FORM=built.

import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { makeInstallation } from "./build/installation.ts";
import { parseRevision, revisionOf } from "./build/revision.ts";

const ROOT = join(import.meta.dirname, "..");
const HELP = `npm run build -- [options]
  --into DIR         make an installation there (bin, dist, config, package.json) instead of ./dist
  --no-compiled      without what V8 compiled: for another Node than this one
  --revision COMMIT  what the build says it was made of; else what git says`;

const { values } = parseArgs({
  options: {
    into: { type: "string", default: ROOT },
    "no-compiled": { type: "boolean", default: false },
    revision: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) console.log(HELP);
else
  await makeInstallation({
    root: ROOT,
    into: resolve(values.into),
    compiled: !values["no-compiled"],
    revision: values.revision === undefined ? await revisionOf(ROOT) : parseRevision(values.revision),
  });
