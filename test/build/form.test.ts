import { appendFile, cp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

import { expect, test } from "vitest";

import { fingerprintOf, SOURCES } from "../../scripts/build/fingerprint.ts";
import { BIN, type Run, runProgram } from "../support/tagferry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const ROOT = resolve(import.meta.dirname, "../..");

type Checkout = TemporaryDirectory & { tagferry(form?: string): Promise<Run> };

/** Directories as in a checkout, with programs that print their form. */
async function checkout(): Promise<Checkout> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(directory.join(path)), { recursive: true });
    await writeFile(directory.join(path), text);
  };
  await cp(dirname(BIN), directory.join("bin"), { recursive: true });
  await cp(join(ROOT, "scripts/build"), directory.join("scripts/build"), { recursive: true });
  for (const file of ["scripts/build.ts", "package.json", "package-lock.json"]) await write(file, "{}");
  await write("src/main.ts", "const form: string = 'source'; process.stdout.write(form);");
  await mkdir(directory.join("node_modules/.bin"), { recursive: true });
  await symlink(process.execPath, directory.join("node_modules/.bin/node"));
  await write("dist/main.cjs", "process.stdout.write('built');");
  const build = {
    sources: fingerprintOf(directory.path, SOURCES),
    chunks: { "main.cjs": fingerprintOf(directory.join("dist"), ["main.cjs"]) },
  };
  await write("dist/build.json", JSON.stringify(build));
  const owned = stack.move();
  return {
    ...directory,
    tagferry: async (form) =>
      runProgram(
        directory.join("bin/tagferry"),
        [],
        form === undefined ? {} : { env: { TAGFERRY_FORM: form } },
      ),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("a checkout runs its source, also when it was built, and the built form when it is told to", async () => {
  await using place = await checkout();
  expect(await place.tagferry()).toMatchObject({ code: 0, stdout: "source" });
  expect(await place.tagferry("source")).toMatchObject({ code: 0, stdout: "source" });
  expect(await place.tagferry("built")).toMatchObject({ code: 0, stdout: "built" });
});

test("an installation has no source, and runs the built form", async () => {
  await using place = await checkout();
  await rm(place.join("src"), { recursive: true });
  expect(await place.tagferry()).toMatchObject({ code: 0, stdout: "built" });
  const asked = await place.tagferry("source");
  expect(asked).toMatchObject({ code: 3, stdout: "" });
  expect(asked.stderr).toContain("PROGRAM_FORM");
});

test.for(["src/main.ts", "package-lock.json", "scripts/build/bundle.ts"])(
  "a checkout whose %s has changed since the build does not run the built form",
  async (file) => {
    await using place = await checkout();
    await appendFile(place.join(file), "\n");
    const stale = await place.tagferry("built");
    expect(stale).toMatchObject({ code: 3, stdout: "" });
    expect(stale.stderr).toMatch(/PROGRAM_FORM {2}the sources have changed.*\n.*npm run build/);
    expect(await place.tagferry()).toMatchObject({ code: 0, stdout: "source" });
  },
);

test("a chunk that somebody changed in a checkout does not run: it would be lost with the next build", async () => {
  await using place = await checkout();
  await appendFile(place.join("dist/main.cjs"), "\n");
  const changed = await place.tagferry("built");
  expect(changed).toMatchObject({ code: 3, stdout: "" });
  expect(changed.stderr).toContain("dist/main.cjs is not what the build wrote");
});

test("where neither form is, or an unknown one is asked for, it says so and what to do", async () => {
  await using place = await checkout();
  await rm(place.join("src"), { recursive: true });
  await rm(place.join("dist"), { recursive: true });
  const missing = await place.tagferry();
  expect(missing).toMatchObject({ code: 3, stdout: "" });
  expect(missing.stderr).toMatch(/PROGRAM_FORM {2}there is no built form in .*\n.*npm run build/);
  const unknown = await place.tagferry("compiled");
  expect(unknown).toMatchObject({ code: 3, stdout: "" });
  expect(unknown.stderr).toMatch(/PROGRAM_FORM .*"compiled"\n.*source and built/);
});
