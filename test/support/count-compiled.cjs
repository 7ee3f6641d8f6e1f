// For Node's --require: says at the end of how many scripts V8 took what it compiled at the build: "7 of 7 scripts".
"use strict";

const vm = require("node:vm");

let scripts = 0;
let taken = 0;

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    scripts += 1;
    if (options.cachedData && !this.cachedDataRejected) taken += 1;
  }
};

process.on("exit", () => process.stderr.write(`${taken} of ${scripts} scripts`));
