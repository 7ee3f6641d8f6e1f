// For Node's --require: shifts the wall clock of a process by the milliseconds in the file that SHIFTED_CLOCK names. The file is
// read ten times per second. Timers and performance.now() do not shift, as when somebody sets the clock of a machine.
"use strict";

const { readFileSync } = require("node:fs");

const RealDate = Date;
const realNow = RealDate.now;
let shiftMs = 0;

function look() {
  try {
    shiftMs = Number(readFileSync(process.env.SHIFTED_CLOCK, "utf8")) || 0;
  } catch {
    // the file is being written
  }
}

const now = () => realNow() + shiftMs;
RealDate.now = now;
const ShiftedDate = new Proxy(RealDate, {
  construct: (target, values, made) =>
    Reflect.construct(target, values.length === 0 ? [now()] : values, made),
  apply: () => new RealDate(now()).toString(),
});
RealDate.prototype.constructor = ShiftedDate;
globalThis.Date = ShiftedDate;
look();
setInterval(look, 100).unref();
