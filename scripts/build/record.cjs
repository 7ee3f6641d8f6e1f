// Given to Node with --require: at its end, each script that ran is written with what V8 has compiled of it.
"use strict";

const { writeFileSync } = require("node:fs");
const { basename, dirname, join } = require("node:path");
const vm = require("node:vm");

const scripts = new Map();

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    if (this.cachedDataRejected) throw new Error(`V8 refuses what it compiled of ${options.filename}`);
    scripts.set(options.filename, this);
  }
};

process.on("exit", () => {
  for (const [file, script] of scripts)
    writeFileSync(join(dirname(file), "cache", basename(file)), script.createCachedData());
});
