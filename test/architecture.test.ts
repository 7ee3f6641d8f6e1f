import { globSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";

import { describe, expect, test } from "vitest";

import packageJson from "../package.json" with { type: "json" };

/** The folders of src, ground first. A file may import its own folder and any row above its own. */
const LAYERS: readonly (readonly string[])[] = [
  ["lib"],
  ["errors"],
  ["oci"],
  ["config", "limits", "registry", "layout", "openshift"],
  ["plan", "copy"],
  ["sync"],
  ["daemon"],
  ["web"],
  ["cli"],
  ["main.ts"],
];

/** The folders that may import a package. A package with one folder can be replaced in one place. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "@kubernetes/client-node": ["openshift"],
  bullmq: ["daemon"],
  commander: ["cli"],
  hono: ["web"],
  "@hono/node-server": ["web"],
  ioredis: ["daemon"],
  "node-cron": ["daemon"],
  picomatch: ["plan"],
  pino: ["lib"],
  "prom-client": ["web"],
  re2js: ["plan"],
  semver: ["plan"],
  undici: ["registry", "openshift"],
  yaml: ["config", "openshift"],
  zod: ["config", "daemon", "openshift"],
};

/** Folders without effects: they import no built-in module. */
const PURE_FOLDERS = ["plan"];

type Import = { readonly file: string; readonly folder: string; readonly target: string };

const rank = (folder: string): number => LAYERS.findIndex((row) => row.includes(folder));

/** `import … from "x"`, `export … from "x"`, `import "x"`, `import("x")`, also as a type. */
const IMPORT =
  /\b(?:import|export)\s[^"'`;()]*?\bfrom\s*["']([^"']+)["']|\bimport\s*["']([^"']+)["']|\bimport\s*\(\s*(?:["']([^"']+)["']|([^)]*))/g;

const FILES = globSync("src/**/*.ts").map((file) => file.replaceAll("\\", "/"));

function codeOf(file: string): string {
  return withoutComments(readFileSync(file, "utf8"));
}

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|[\s;{}(,])\/\/[^\n]*/g, "");
}

function importsIn(file: string, source: string): Import[] {
  const folder = folderOf(file);
  return [...withoutComments(source).matchAll(IMPORT)].map(([, from, bare, dynamic, computed]) => ({
    file,
    folder,
    target: from ?? bare ?? dynamic ?? `(computed: ${computed ?? ""})`,
  }));
}

function folderOf(file: string): string {
  return file.split("/")[1] ?? "";
}

function pathOf({ file, target }: Import): string {
  return posix.join(posix.dirname(file), target);
}

function exportsIn(code: string): string[] {
  const declared =
    /^export\s+(?:declare\s+)?(?:async\s+)?(?:function\*?|const|class|type|interface)\s+(\w+)/gm;
  return [...new Set([...code.matchAll(declared)].map(([, name = ""]) => name))];
}

/** Groups of files that import one another in a circle (Tarjan's strongly connected components). */
function circlesIn(importsOf: (file: string) => readonly string[], files: readonly string[]): string[][] {
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string): void => {
    order.set(file, order.size);
    low.set(file, order.size - 1);
    stack.push(file);
    for (const next of importsOf(file)) {
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file) ?? 0, low.get(next) ?? 0));
    }
    if (low.get(file) !== order.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1 || importsOf(file).includes(file)) circles.push(circle.toSorted());
  };
  for (const file of files) if (!order.has(file)) visit(file);
  return circles;
}

/** The problem of an import; undefined when it is allowed. */
function wrongWith({ file, folder, target }: Import): string | undefined {
  const said = `${file} imports ${target}`;
  if (target.startsWith("node:")) return PURE_FOLDERS.includes(folder) ? `${said}, and is pure` : undefined;
  if (target.startsWith(".")) {
    const to = folderOf(posix.join(posix.dirname(file), target));
    return folder === to || (rank(to) !== -1 && rank(to) < rank(folder)) ? undefined : `${said}, uphill`;
  }
  const name = target.split("/", target.startsWith("@") ? 2 : 1).join("/");
  return PACKAGES[name]?.includes(folder) ? undefined : `${said}, which is not for ${folder}`;
}

/** The most files that a folder of src holds: a larger one gets folders that are its table of contents. */
const FILES_MAX = 15;

/** Names that two files export with different meanings, each with the reason why that is right. */
const SHARED_NAMES: Readonly<Record<string, string>> = {};

const imports = FILES.flatMap((file) => importsIn(file, readFileSync(file, "utf8")));

describe("the imports of src", () => {
  test("point from the upper layers to the lower ones, and packages stay in their folders", () => {
    expect(imports.map(wrongWith).filter((wrong) => wrong !== undefined)).toEqual([]);
  });

  test("are all seen: every file but the ground has some", () => {
    const seen = new Set(imports.map(({ file }) => file));
    const ground = ["src/lib/error.ts", "src/errors/facts.ts"];
    const importing = FILES.filter((file) => !ground.includes(file) && /\bimport\b/.test(codeOf(file)));
    expect(importing.filter((file) => !seen.has(file))).toEqual([]);
  });
});

test("no import leads back to its own file, not even as a type", () => {
  const importsOf = Map.groupBy(
    imports.filter(({ target }) => target.startsWith(".")),
    ({ file }) => file,
  );
  expect(circlesIn((file) => (importsOf.get(file) ?? []).map(pathOf), FILES)).toEqual([]);
});

test("every folder of src has at most fifteen files", () => {
  const folders = Map.groupBy(FILES, (file) => posix.dirname(file));
  expect([...folders].filter(([, files]) => files.length > FILES_MAX).map(([folder]) => folder)).toEqual([]);
});

test("every exported name has one meaning", () => {
  const exporters = Map.groupBy(
    FILES.flatMap((file) => exportsIn(codeOf(file)).map((name) => ({ file, name }))),
    ({ name }) => name,
  );
  const shared = [...exporters].filter(([name, files]) => files.length > 1 && !(name in SHARED_NAMES));
  expect(shared.map(([name, files]) => `${name}: ${files.map(({ file }) => file).join(", ")}`)).toEqual([]);
});

test("every folder of src has its row", () => {
  const unknown = readdirSync("src").filter((name) => rank(name) === -1);
  expect(unknown).toEqual([]);
});

test("every dependency has its folder", () => {
  const unknown = Object.keys(packageJson.dependencies).filter((name) => !(name in PACKAGES));
  expect(unknown).toEqual([]);
});

test("the plan waits for nothing and reads no clock: it decides from what it is given", () => {
  const effects =
    /\b(?:async|await|Promise|process|setTimeout|fetch|Date\.now|Math\.random|performance)\b|\bnew Date\(\)/;
  const impure = FILES.filter((file) => folderOf(file) === "plan").filter((file) =>
    effects.test(codeOf(file).replaceAll(/"[^"\n]*"|'[^'\n]*'|`[^`]*`/g, '""')),
  );
  expect(impure).toEqual([]);
});

test("no file only hands on what others export", () => {
  const barrels = FILES.filter((file) =>
    /\bexport\s*(?:type\s*)?(?:\*|\{[^}]*\}\s*from\b)/.test(codeOf(file)),
  );
  expect(barrels).toEqual([]);
});

describe("the table itself", () => {
  test.for([
    ["src/lib/a.ts", 'import type { Digest } from "../oci/digest.ts";'],
    ["src/errors/a.ts", 'import type { Digest } from "../oci/digest.ts";'],
    ["src/oci/a.ts", 'import {\n  one,\n  other,\n} from "../registry/b.ts";'],
    ["src/registry/a.ts", 'import { openLayout } from "../layout/layout.ts";'],
    ["src/copy/a.ts", 'export { plan } from "../plan/plan.ts";'],
    ["src/sync/a.ts", 'const { serve } = await import("../daemon/serve.ts");'],
    ["src/sync/a.ts", 'type Cli = import("../cli/cli.ts").Cli;'],
    ["src/sync/a.ts", "const other = await import(name);"],
    ["src/sync/a.ts", 'import "../web/page.ts";'],
    ["src/cli/a.ts", 'import { main } from "../main.ts";'],
    ["src/cli/a.ts", 'import { shared } from "../unknown/shared.ts";'],
    ["src/cli/a.ts", 'import { help } from "../../test/support/images/images.ts";'],
    ["src/copy/a.ts", 'import { Agent } from "undici";'],
    ["src/config/a.ts", 'import semver from "semver/ranges/valid.js";'],
    ["src/openshift/a.ts", 'await import("left-pad");'],
    ["src/plan/a.ts", 'import { readFileSync } from "node:fs";'],
  ] as const)("refuses in %s: %s", ([file, source]) => {
    expect(importsIn(file, source).map(wrongWith)).toEqual([expect.any(String)]);
  });

  test.for([
    ["src/sync/a.ts", 'import { copyImage } from "../copy/copy.ts";'],
    ["src/sync/a.ts", 'import { report } from "./report.ts";'],
    ["src/main.ts", 'import { cli } from "./cli/cli.ts";'],
    ["src/cli/a.ts", 'const { sync } = await import("../sync/sync.ts");'],
    ["src/openshift/a.ts", 'import type { V1Pod } from "@kubernetes/client-node";'],
    ["src/plan/a.ts", 'import rcompare from "semver/functions/rcompare.js";'],
    ["src/registry/a.ts", 'import { createHash } from "node:crypto";'],
  ] as const)("allows in %s: %s", ([file, source]) => {
    expect(importsIn(file, source).map(wrongWith)).toEqual([undefined]);
  });

  test("finds a circle, also of types and of one file", () => {
    const graph: Record<string, string[]> = { a: ["b"], b: ["c"], c: ["a"], d: ["d"], e: ["a"] };
    expect(circlesIn((file) => graph[file] ?? [], ["e", "a", "d"])).toEqual([["a", "b", "c"], ["d"]]);
  });

  test("finds every form of an exported name once", () => {
    const code =
      "export type A = 1;\nexport const A = 1;\nexport async function b() {}\nexport function* c() {}\nconst d = 1;";
    expect(exportsIn(code)).toEqual(["A", "b", "c"]);
  });

  test("overlooks what stands in a comment", () => {
    expect(
      importsIn("src/lib/a.ts", '/* import x from "../cli/x.ts"; */\n// import("../web/y.ts")\n'),
    ).toEqual([]);
  });
});
