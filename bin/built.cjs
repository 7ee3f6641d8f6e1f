// Runs the built form, which stands in ../dist: chunks of CommonJS, with what V8 compiled of them where the build wrote that.
"use strict";

const { existsSync, readFileSync } = require("node:fs");
const { join } = require("node:path");

const home = join(__dirname, "..");
const dist = join(home, "dist");
const cache = join(dist, "cache");

if (!existsSync(join(dist, "main.cjs"))) refuse(`there is no built form in ${dist}`);
if (existsSync(join(home, "src/main.ts"))) refuseStale();
// Node maps the lines of those scripts only that it loads itself
if (process.sourceMapsEnabled || !existsSync(cache)) require(join(dist, "main.cjs"));
else runCompiled();

/** In a checkout: what runs is what the sources say, or nothing runs. An installation has nothing to compare with. */
function refuseStale() {
  const { fingerprintOf, SOURCES } = require("../scripts/build/fingerprint.ts");
  const { sources, chunks } = JSON.parse(readFileSync(join(dist, "build.json"), "utf8"));
  if (fingerprintOf(home, SOURCES) !== sources) refuse("the sources have changed since the build");
  for (const [name, digest] of Object.entries(chunks))
    if (fingerprintOf(dist, [name]) !== digest) refuse(`dist/${name} is not what the build wrote`);
}

function refuse(what) {
  process.stderr.write(
    `PROGRAM_FORM  ${what}\n  next     Run \`npm run build\` in the checkout, or unset TAGFERRY_FORM.\n`,
  );
  process.exit(3);
}

/** Loads the chunks as `require` does, but gives V8 what it compiled before. V8 checks that and compiles what it refuses. */
function runCompiled() {
  const { constants, Script } = require("node:vm");
  const modules = new Map();

  function load(name) {
    const known = modules.get(name);
    if (known) return known.exports;
    const module = { exports: {} };
    modules.set(name, module);
    const filename = join(dist, name);
    const source = readFileSync(filename, "utf8");
    const script = new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
      filename,
      cachedData: compiledOf(name),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    script.runInThisContext()(module.exports, requireBeside, module, filename, dist);
    return module.exports;
  }

  const requireBeside = (id) => (id.startsWith("./") ? load(id.slice(2)) : require(id));
  load("main.cjs");
}

function compiledOf(name) {
  try {
    return readFileSync(join(cache, name));
  } catch {
    return undefined; // a chunk that no command of the build has loaded
  }
}
