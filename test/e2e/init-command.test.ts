import { readdir, readFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { tagferry } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { inTerminal } from "../support/terminal.ts";

const FLAGS = ["--source", "docker.io/library/nginx", "--target", "imagestream:web/nginx"];

test.for([
  [">=1.27", 'tags: { semver: ">=1.27" }'],
  ["1.x", 'tags: { semver: "1.x" }'],
  ["1.10, latest", 'tags: ["1.10", "latest"]'],
])("init --tags %s writes a file that is valid", async ([tags = "", line = ""]) => {
  await using directory = await temporaryDirectory();
  const made = await tagferry(["init", ...FLAGS, "--tags", tags], { cwd: directory.path });
  expect(made.code, made.stderr).toBe(0);
  expect(await readFile(directory.join("tagferry.yaml"), "utf8")).toContain(line);
  expect(await tagferry(["validate"], { cwd: directory.path })).toMatchObject({ code: 0 });
});

test("init asks for what no flag says, and proposes an answer", async () => {
  await using directory = await temporaryDirectory();
  const { output, code } = await inTerminal(["init", "new.yaml"], {
    cwd: directory.path,
    input: "quay.io/team/app\n\nlatest\n",
  });
  expect(code, output).toBe(0);
  expect(output).toContain("[imagestream:web/app]");
  const text = await readFile(directory.join("new.yaml"), "utf8");
  expect(text).toContain('source: "quay.io/team/app"');
  expect(text).toContain('target: "imagestream:web/app"');
  expect((await tagferry(["validate", "new.yaml"], { cwd: directory.path })).code).toBe(0);
});

test.for([
  { what: "Ctrl-C", typed: "\u0003", code: 130, says: "Which repository" },
  { what: "the end of the input", typed: "\u0004", code: 3, says: "nothing was written" },
])("init writes nothing after $what at a question", async ({ typed, code, says }) => {
  await using directory = await temporaryDirectory();
  let asked = false;
  const ended = await inTerminal(["init"], {
    cwd: directory.path,
    onOutput: (soFar, type) => {
      if (!asked && soFar.includes("Which repository")) {
        asked = true;
        type(typed);
      }
    },
  });
  expect(ended.code, ended.output).toBe(code);
  expect(ended.output).toContain(says);
  expect(await readdir(directory.path)).toEqual([]);
});

test("init leaves no file when an answer is wrong, and says what is wrong with it", async () => {
  await using directory = await temporaryDirectory();
  const wrong = await tagferry(
    ["init", "--source", "docker.io/library/nginx", "--target", "web/nginx", "--tags", "1"],
    { cwd: directory.path },
  );
  expect(wrong.code).toBe(3);
  expect(wrong.stderr).toContain("imagestream:web/nginx");
  expect(await readdir(directory.path)).toEqual([]);
});

test("init replaces no file without --force, and asks nothing without a terminal", async () => {
  await using directory = await temporaryDirectory();
  const make = async (...more: string[]): ReturnType<typeof tagferry> =>
    tagferry(["init", ...FLAGS, "--tags", "1", ...more], { cwd: directory.path });
  expect((await make()).code).toBe(0);
  const again = await make();
  expect(again.code).toBe(3);
  expect(again.stderr).toMatch(/OUTPUT_PATH .*tagferry\.yaml exists/);
  expect((await make("--force")).code).toBe(0);
  const alone = await tagferry(["init", "other.yaml", ...FLAGS], { cwd: directory.path });
  expect(alone.code).toBe(3);
  expect(alone.stderr).toContain("--tags");
});
