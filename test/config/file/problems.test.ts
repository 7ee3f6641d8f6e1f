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
  [
    "",
    "version: 1\nmirrors: []\n",
    "Write a first mirror: source, target and tags. `tagferry init` writes an example.",
  ],
  [
    "",
    "just text\n",
    "Write a map with the keys `version` and `mirrors`; `tagferry init` writes a first file.",
  ],
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
  [
    "a required key that is misspelt",
    mirror(`sorce: quay.io/a/b\n${TARGET}\n${TAGS}`),
    'Did you mean "source"?',
  ],
  [
    "no tag",
    mirror(`${SOURCE}\n${TARGET}\ntags: []`),
    'Write at least one tag, such as [latest], or rules, such as {semver: ">=1.27"}.',
  ],
  [
    "a value that is not allowed",
    registry("quay.io: {kind: foo}"),
    "Write one of: auto, harbor, dockerhub, quay, distribution, openshift.",
  ],
  [
    "a second cluster",
    `${mirror(`${SOURCE}\n${TARGET}\n${TAGS}`)}clusters: {a: {}, b: {}}\n`,
    "Keep one of them. For another cluster, run another Tagferry with its own file.",
  ],
  [
    "Docker Hub without TLS",
    registry("docker.io: {insecure: true}"),
    "Remove insecure: Docker Hub has a certificate that every system trusts. For a mirror of it, write the mirror's host.",
  ],
  [
    "pruning exact tags",
    mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nprune: {grace: 1d}`),
    'Remove `prune`, or select the tags by rules, such as {glob: "*"}.',
  ],
  ["a glob as a tag", mirror(`${SOURCE}\n${TARGET}\ntags: ["1.*"]`), 'Write `tags: {glob: "1.*"}`.'],
  ["a range as a tag", mirror(`${SOURCE}\n${TARGET}\ntags: [">=1.2"]`), 'Write `tags: {semver: ">=1.2"}`.'],
  [
    "a number as a tag",
    mirror(`${SOURCE}\n${TARGET}\ntags: [1.10]`),
    'Quote it if you mean text: "1.10" (YAML reads 1.10 as the number 1.1).',
  ],
  [
    "skopeo's scheme",
    mirror(`source: docker://quay.io/a/b\n${TARGET}\n${TAGS}`),
    "Write it without `docker://`.",
  ],
  [
    "a stream with a tag",
    mirror(`${SOURCE}\ntarget: imagestream:web/b:latest\n${TAGS}`),
    "Write tags under `tags:`.",
  ],
  [
    "a target without a registry",
    mirror(`${SOURCE}\ntarget: web/secret-app\n${TAGS}`),
    "Write `imagestream:web/secret-app` for an image stream, or `docker.io/web/secret-app` if you mean Docker Hub.",
  ],
  [
    "storage without a registry",
    mirror(`${SOURCE}\n${TARGET}\nstorage: web/secret-app\n${TAGS}`),
    "Write the registry too, or `docker.io/web/secret-app` if you mean Docker Hub.",
  ],
])("what to do next fits what is wrong: %s", async ([, text = "", next]) => {
  await using directory = await temporaryDirectory();
  const error = await errorOf(directory, text);
  const problems = problemsIn(error);
  expect(problems.map((problem) => problem.next)).toEqual([next]);
  expect(problems[0]?.message).toMatch(/^\S/);
});

test("an open quote is told with the line on which it begins", async () => {
  await using directory = await temporaryDirectory();
  const text = 'version: 1\nmirrors:\n  - source: "quay.io/a/b\n    target: imagestream:web/b\n';
  expect(await errorOf(directory, text)).toMatchObject({
    code: "CONFIG_SYNTAX",
    details: { next: 'Close the quote " that begins on line 3.' },
  });
});
