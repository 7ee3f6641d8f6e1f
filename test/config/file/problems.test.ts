import { describe, expect, test } from "vitest";

import { renderProblems } from "../../../src/config/file/problems.ts";
import { failureOf } from "../../../src/errors/error.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import {
  SOURCE,
  TARGET,
  TAGS,
  mirror,
  registry,
  daemon,
  errorOf,
  problemsIn,
  testRows,
  type Row,
} from "../scene.ts";

const ROWS: readonly Row[] = [
  {
    row: "several problems at once, in the order of their lines",
    text: mirror(`source: quay.io/A\ntarget: imagestream:Web/b\ntags: ["-"]`),
    expected: ["CONFIG_REPOSITORY 3:13", "CONFIG_KUBERNETES_NAME 4:13", "CONFIG_TAG 5:12"],
  },
];

describe("problems of one file", () => {
  testRows(ROWS);
});

test("problems are rendered with their line, a caret, what is allowed and what to do; a secret's line is not shown", async () => {
  await using directory = await temporaryDirectory();
  const text = `${mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nplatform: x`)}registries:\n  quay.io: {credentials: {username: u, password: hunter2}}\n`;
  const error = await errorOf(directory, text);
  const rendered = renderProblems(problemsIn(error), text).replaceAll(`${directory.path}/`, "");
  expect(rendered).toContain('tagferry.yaml:6:5  CONFIG_UNKNOWN_KEY  "platform" is not a key of mirrors[0]');
  expect(rendered).toContain("        platform: x\n        ^");
  expect(rendered).toContain('next     Did you mean "platforms"?');
  expect(rendered).not.toContain("hunter2");
});

test.for([
  ["a key that is mistyped", "credentials: {username: u, passwrd: hunter2}"],
  ["a key that is mistyped, on a line of its own", "credentials:\n      passwrd: hunter2, with a comma"],
  ["text where its map should be", "credentials: hunter2"],
  ["a number", "credentials: {username: u, password: 42424242}"],
  ["a list", "credentials: {username: u, password: [hunter2]}"],
  ["two words, unquoted", "credentials: {username: u, pass: correct hunter2}"],
  ["a quote in quotes", "credentials: {username: u, passphrase: 'it''s hunter2'}"],
  ["YAML that is broken on its line", "credentials:\n      password: hunter2: x"],
  ["a quote that is not closed", "credentials: { username: u, password: 'hunter2 }"],
  ["text after the closing quote", 'credentials:\n      password: "a" "hunter2"'],
])("a secret is not shown: %s", async ([, body = ""]) => {
  await using directory = await temporaryDirectory();
  const text = registry(`quay.io:\n    ${body}`);
  const error = await errorOf(directory, text);
  const told = JSON.stringify(failureOf(error));
  const rendered = renderProblems(problemsIn(error), text);
  expect(`${told}${rendered}`).not.toMatch(/hunter2|42424242/);
  expect(told).toMatch(/CONFIG_/);
});

test.for([
  ["", "version: 1\nmirrors:\n", "Write a value, or remove the key."],
  ["", "version: 1\nmirrors: []\n", "Write a first mirror; config/quickstart.yaml is an example."],
  ["", "just text\n", "Start from config/quickstart.yaml."],
  ["a duration without its unit", daemon("grace: 3"), "Write its unit too: 3s, 3m, 3h, 3d."],
  ["a port alone", daemon("listen: 8080"), "Write the address too: 127.0.0.1:8080."],
  [
    "a key like no other",
    daemon("zzz: 1"),
    "Remove it, or use a key that is allowed; docs/config.md describes all keys.",
  ],
  [
    "a variable that is not set",
    registry('quay.io: {credentials: {username: u, password: "${ABSENT}"}}'),
    "Set ABSENT, or give a default: ${ABSENT:-default}.",
  ],
])("what to do next fits what is wrong: %s", async ([, text = "", next]) => {
  await using directory = await temporaryDirectory();
  const error = await errorOf(directory, text);
  const problems = problemsIn(error);
  expect(problems.map((problem) => problem.next)).toEqual([next]);
  expect(problems[0]?.message).toMatch(/^\S/);
});
