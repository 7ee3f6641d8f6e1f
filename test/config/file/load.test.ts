import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { loadConfig } from "../../../src/config/file/load.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { SOURCE, TARGET, TAGS, mirror, tagged, problemsOf, testRows, type Row } from "../scene.ts";

const ROWS: readonly Row[] = [
  { row: "A4 only comments", text: "# nothing\n\n", expected: ["CONFIG_EMPTY"] },
  { row: "A4 nothing", text: "", expected: ["CONFIG_EMPTY"] },
  { row: "A5 more than 1 MiB", text: `# ${"x".repeat(1024 * 1024)}\n`, expected: ["CONFIG_TOO_LARGE"] },
  { row: "A6 UTF-16", text: Buffer.from("\ufeffversion: 1\n", "utf16le"), expected: ["CONFIG_ENCODING"] },
  { row: "A6 a NUL byte", text: "version: 1\0\n", expected: ["CONFIG_ENCODING"] },
  { row: "A6 Latin-1", text: Buffer.from([0x76, 0x3a, 0x20, 0xe9, 0x0a]), expected: ["CONFIG_ENCODING"] },
];

describe("a file that cannot be read as text", () => {
  testRows(ROWS);
});

test("A1 a file that is missing is named", async () => {
  await using directory = await temporaryDirectory();
  expect(await problemsOf("absent.yaml", directory.path)).toEqual(["CONFIG_NOT_FOUND"]);
});

test("A2 directories, pipes and devices are no files, and none of them hangs", async () => {
  await using directory = await temporaryDirectory();
  mkdirSync(directory.join("folder"));
  execFileSync("mkfifo", [directory.join("pipe")]);
  for (const path of ["folder", "pipe", "/dev/null"])
    expect(await problemsOf(path, directory.path)).toEqual(["CONFIG_NOT_FILE"]);
});

test("A3 a file that may not be read says so, for those who may not", async () => {
  await using directory = await temporaryDirectory();
  const path = directory.join("tagferry.yaml");
  writeFileSync(path, tagged(TAGS));
  chmodSync(path, 0);
  chmodSync(directory.path, 0o755);
  const bin = join(import.meta.dirname, "../../../bin/tagferry");
  const run = (): unknown =>
    execFileSync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", bin, "validate", path], {
      env: { PATH: process.env["PATH"] },
      encoding: "utf8",
      stdio: "pipe",
    });
  expect(run).toThrow(/CONFIG_READ/);
});

test("the file is the one that is named, else $TAGFERRY_CONFIG, else ./tagferry.yaml", async () => {
  await using directory = await temporaryDirectory();
  for (const name of ["named", "environment", "tagferry"])
    writeFileSync(directory.join(`${name}.yaml`), mirror(`name: ${name}\n${SOURCE}\n${TARGET}\n${TAGS}`));
  const nameOf = async (options: {
    file?: string;
    env: Record<string, string>;
  }): Promise<string | undefined> =>
    (await loadConfig({ ...options, directory: directory.path })).config.mirrors[0]?.name;
  const env = { TAGFERRY_CONFIG: "environment.yaml" };
  expect(await nameOf({ file: "named.yaml", env })).toBe("named");
  expect(await nameOf({ env })).toBe("environment");
  expect(await nameOf({ env: {} })).toBe("tagferry");
});

test("a letter that is not UTF-8 is told with its line", async () => {
  await using directory = await temporaryDirectory();
  writeFileSync(directory.join("tagferry.yaml"), Buffer.from("version: 1\n# caf\u00e9\n", "latin1"));
  await expect(loadConfig({ env: {}, directory: directory.path })).rejects.toMatchObject({
    code: "CONFIG_ENCODING",
    details: { found: "byte 0xe9 on line 2" },
  });
});

test("commands that need no mirrors read a file that has none", async () => {
  await using directory = await temporaryDirectory();
  writeFileSync(directory.join("tagferry.yaml"), "version: 1\nregistries: {quay.io: {connections: 2}}\n");
  const { config } = await loadConfig({ env: {}, directory: directory.path, mirrors: "optional" });
  expect(config.mirrors).toEqual([]);
  expect(config.registries).toMatchObject([{ registry: "quay.io", connections: 2 }]);
  await expect(loadConfig({ env: {}, directory: directory.path })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
  });
});
