import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { expect, test } from "vitest";

/** The static imports of a file. Types and `import()` are left out. */
const LOADED = /^(?:import|export)\s(?!type\s)[^"'`;()]*?\bfrom\s*"([^"]+)"|^import\s*"([^"]+)"/gm;

/** The packages that are loaded with a file of `src`, through everything it imports. */
function packagesLoadedBy(file: string): readonly string[] {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const [statement, from, bare] of readFileSync(path, "utf8").matchAll(LOADED)) {
      const target = from ?? bare ?? "";
      if (/^import\s*\{(?:\s*type\s[^,}]*,?)*\s*\}/.test(statement)) continue;
      if (target.startsWith(".")) visit(join(dirname(path), target));
      else if (!target.startsWith("node:"))
        packages.add(target.split("/", target.startsWith("@") ? 2 : 1).join("/"));
    }
  };
  visit(file);
  return [...packages].toSorted();
}

function commandFile(name: string): string {
  const [file, ...more] = globSync(`src/cli/**/${name}.ts`);
  if (file === undefined || more.length > 0) throw new Error(`which file is the command ${name}?`);
  return file;
}

test("help and --version load the parser of the command line, and nothing else", () => {
  expect(packagesLoadedBy("src/main.ts")).toEqual(["commander"]);
});

test.for([
  { command: "validate", loads: ["node-cron", "picomatch", "re2js", "semver", "yaml", "zod"] },
  // the health check of the image runs it every 30 s
  { command: "status", loads: ["node-cron", "picomatch", "re2js", "semver", "yaml", "zod"] },
  { command: "sync", loads: ["node-cron", "picomatch", "pino", "re2js", "semver", "undici", "yaml", "zod"] },
])("$command loads what it needs: $loads", ({ command, loads }) => {
  expect(packagesLoadedBy(commandFile(command))).toEqual(loads);
});

test("a daemon loads BullMQ and ioredis with a Redis only, and the kubeconfig's library with a kubeconfig", () => {
  const loaded = packagesLoadedBy(commandFile("serve"));
  expect(loaded).toContain("hono");
  expect(loaded).not.toContain("bullmq");
  expect(loaded).not.toContain("ioredis");
  expect(loaded).not.toContain("@kubernetes/client-node");
});
