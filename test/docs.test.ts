import { existsSync, globSync, readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { documents } from "../scripts/documents.ts";
import { loadConfig } from "../src/config/file/load.ts";
import { ERROR_CODES } from "../src/errors/codes.ts";
import { checkTagRules } from "../src/plan/patterns.ts";

const root = new URL("..", import.meta.url).pathname;
const read = (path: string): string => readFileSync(`${root}${path}`, "utf8");

test.for([...documents()])("%s is what the code says: npm run generate", ([path, text]) => {
  expect(read(path)).toBe(text);
});

test("every error code is documented", () => {
  const page = read("docs/errors.md");
  expect(Object.keys(ERROR_CODES).filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
});

test.for(["config/quickstart.yaml", "config/example.yaml"])("%s is a valid configuration", async (file) => {
  const { config, warnings } = await loadConfig({
    file,
    env: { HUB_PASSWORD: "x" },
    directory: root,
    checks: [checkTagRules],
  });
  expect(config.mirrors.length).toBeGreaterThan(0);
  expect(warnings).toEqual([]);
});

test("the example shows every key of a mirror, a registry and a cluster that needs no file", () => {
  const page = read("config/example.yaml");
  const schema = JSON.parse(read("config/schema.json")) as {
    properties: { mirrors: { items: { properties: object } } };
  };
  expect(
    Object.keys(schema.properties.mirrors.items.properties).filter((key) => !page.includes(`${key}:`)),
  ).toEqual([]);
});

test("the page about the configuration names every key of it", () => {
  const page = read("docs/config.md");
  const keysIn = (node: unknown): string[] => {
    if (typeof node !== "object" || node === null) return [];
    const { properties = {} } = node as { properties?: object };
    return [...Object.keys(properties), ...Object.values(node).flatMap(keysIn)];
  };
  const keys = keysIn(JSON.parse(read("config/schema.json")));
  expect(keys.length).toBeGreaterThan(60);
  expect([...new Set(keys)].filter((key) => !page.includes(`| \`${key}\``))).toEqual([]);
});

test.for([
  "docs/commands.md",
  "docs/config.md",
  "docs/errors.md",
  "docs/output.md",
  "docs/decisions.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
])("the README leads to %s, which exists", (path) => {
  expect(read("README.md")).toContain(path);
  expect(read(path).length).toBeGreaterThan(100);
});

/** Paths in backticks that name files of this repository, such as `plan/plan.ts` (below src) or `src/cli/`. */
function pathsIn(page: string): string[] {
  const quoted = [...page.matchAll(/`([\w./-]+)`/g)].map(([, text = ""]) => text);
  return quoted.filter((text) => /^(?:\w[\w-]*\/)+(?:[\w.-]+\.(?:ts|md|json|yaml))?$/.test(text));
}

const exists = (path: string): boolean => existsSync(`${root}${path}`) || existsSync(`${root}src/${path}`);

test.for(["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/decisions.md"])(
  "%s names only files and folders that exist",
  (page) => {
    const examples = /NAME|AREA/;
    expect(pathsIn(read(page)).filter((path) => !examples.test(path) && !exists(path))).toEqual([]);
  },
);

test("ARCHITECTURE.md describes every folder of src", () => {
  const folders = globSync("src/**/", { cwd: root }).map(
    (folder) => `${folder.replaceAll("\\", "/").slice(4)}/`,
  );
  const page = read("ARCHITECTURE.md");
  expect(folders.length).toBeGreaterThan(25);
  expect(folders.filter((folder) => folder !== "/" && !page.includes(`\`${folder}\``))).toEqual([]);
});
