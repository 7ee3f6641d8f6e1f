import { globSync, readFileSync } from "node:fs";

import { expect, test } from "vitest";

/** Names of test files, without folder and ending, that `vitest.config.ts` lists for the built form. */
const listed = [
  ...readFileSync("vitest.config.ts", "utf8").matchAll(/^const \w*COMMANDS = \[([^\]]*)\]/gm),
].flatMap(([, names = ""]) => [...names.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name));

/** Files in test/build are about the build itself and choose the form themselves. */
const drivers = globSync("test/**/*.test.ts")
  .filter((file) => !file.startsWith("test/build/"))
  .filter((file) =>
    /\b(?:tagferry|startServe)\b[^;]*from "[^"]*\/tagferry\.ts"/.test(readFileSync(file, "utf8")),
  )
  .map((file) => file.replace(/^.*\/|\.test\.ts$/g, ""));

test("every test file that runs the program runs in the built form, too", () => {
  expect(listed.toSorted()).toEqual(expect.arrayContaining(drivers.toSorted()));
});

test.for(listed)("%s is one test file", (name) => {
  expect(globSync(`test/**/${name}.test.ts`)).toHaveLength(1);
});
