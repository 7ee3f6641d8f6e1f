import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { promisify } from "node:util";

import { describe, expect, test } from "vitest";

import { EXAMPLES } from "../../src/cli/syntax/examples.ts";
import { BIN, tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const run = promisify(execFile);
const COMMANDS =
  "sync plan status copy tags auth serve worker init validate schema version completion help".split(" ");

test("the help lists every command, and each has examples of its own", async () => {
  const { stdout } = await tagferry(["--help"]);
  const listed = [...stdout.matchAll(/^ {2}([a-z]+)(?: \[| <| {2})/gm)].map(([, name]) => name);
  expect(listed).toEqual(COMMANDS);
  expect(Object.keys(EXAMPLES).toSorted()).toEqual(COMMANDS.toSorted());
});

test.for(COMMANDS)("%s --help has examples that name the command", async (command) => {
  const { stdout, code } = await tagferry([command, "--help"]);
  expect(code).toBe(0);
  expect(stdout.split("Examples:\n")[1]).toMatch(new RegExp(`tagferry ${command}`));
});

test("help of a command is its --help, and help of a misspelt one says so", async () => {
  expect((await tagferry(["help", "sync"])).stdout).toBe((await tagferry(["sync", "--help"])).stdout);
  const wrong = await tagferry(["help", "snyc"]);
  expect(wrong).toMatchObject({ code: 3, stdout: "" });
  expect(wrong.stderr).toContain("unknown command 'snyc' (Did you mean sync?)");
  expect((await tagferry(["sync", "--bogus"])).stderr).toContain("tagferry sync --help");
});

test("version prints what a bug report needs", async () => {
  const { stdout } = await tagferry(["version", "-o", "json"]);
  expect(JSON.parse(stdout)).toMatchObject({
    tagferry: expect.any(String),
    node: expect.stringMatching(/^24\./),
  });
  expect((await tagferry(["version"])).stdout).toMatch(/^tagferry \S+ \(Node 24\.\S+, linux\//);
});

/** What bash proposes for the last of these words. */
async function proposals(words: readonly string[], cwd: string): Promise<readonly string[]> {
  const { stdout } = await run(
    "bash",
    [
      "-c",
      `source <("$1" completion bash); shift
       COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _tagferry; printf '%s\\n' "\${COMPREPLY[@]}"`,
      "bash",
      BIN,
      ...words,
    ],
    { cwd, env: { ...process.env, PATH: `${dirname(BIN)}:${process.env["PATH"]}` } },
  );
  return stdout.split("\n").filter((line) => line !== "");
}

describe("completion", () => {
  test("of bash knows commands, flags, values, files and the mirrors of the file", async () => {
    await using directory = await temporaryDirectory();
    const mirror = { source: "quay.io/a/b", target: "quay.io/c/d", tags: ["1"] };
    const file = await writeConfig(directory.path, {
      version: 1,
      mirrors: [
        { name: "web-app", ...mirror },
        { name: "web-db", ...mirror, target: "quay.io/c/e" },
      ],
    });
    const of = async (...words: string[]): Promise<readonly string[]> =>
      proposals(["tagferry", ...words], directory.path);
    expect(await of("st")).toEqual(["status"]);
    expect(await of("plan", "--ex")).toEqual(["--explain", "--exit-code"]);
    expect(await of("plan", "-o", "")).toEqual(["text", "json", "yaml", "markdown"]);
    expect(await of("sync", "-c", "tag")).toEqual(["tagferry.yaml"]);
    expect(await of("sync", "web-")).toEqual(["web-app", "web-db"]);
    expect(await of("sync", "-c", file, "web-d")).toEqual(["web-db"]);
    expect(await of("completion", "")).toEqual(["bash", "zsh", "fish"]);
  });

  test.for(["zsh", "fish"])("of %s names every command and flag", async (shell) => {
    const { stdout, code } = await tagferry(["completion", shell]);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toContain(command);
    for (const flag of ["explain", "exit-code", "failing", "health-listen"]) expect(stdout).toContain(flag);
  });

  test("of an unknown shell is refused", async () => {
    const { stderr, code } = await tagferry(["completion", "csh"]);
    expect(stderr).toContain("bash, zsh, fish");
    expect(code).toBe(3);
  });
});
