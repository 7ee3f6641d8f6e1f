import { execFile } from "node:child_process";
import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";

import { describe, expect, test } from "vitest";

import { COMMAND } from "./recipes/command.ts";
import { KEY } from "./recipes/key.ts";
import { LISTING } from "./recipes/listing.ts";
import { PECULIARITY } from "./recipes/peculiarity.ts";
import type { Recipe } from "./recipes/recipe.ts";
import { TARGET } from "./recipes/target.ts";
import { type TemporaryDirectory, temporaryDirectory } from "./support/temporary.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const RECIPES: readonly Recipe[] = [COMMAND, KEY, PECULIARITY, LISTING, TARGET];

/** What a copy of the source needs to be checked and to run. */
const COPIED =
  "bin config docs helm scripts src test ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md README.md package.json tsconfig.json vitest.config.ts".split(
    " ",
  );

const page = await readFile(`${ROOT}CONTRIBUTING.md`, "utf8");

/** The files that a recipe names at the start of its list items. `AREA` and `NAME` stand for any name. */
function filesOf(title: string): readonly string[] {
  const section = page.split(/^#+ /m).find((text) => text.startsWith(`${title}\n`)) ?? "";
  return [...section.matchAll(/^- ((?:`[^`]+`(?:, )?)+)/gm)].flatMap(([, list = ""]) =>
    list.split(", ").map((file) => file.slice(1, -1)),
  );
}

const names = (file: string, path: string): boolean =>
  new RegExp(`^${file.replaceAll(".", "\\.").replaceAll(/NAME|AREA/g, "[a-z0-9-]+")}$`).test(path);

async function copySource(): Promise<TemporaryDirectory> {
  const copy = await temporaryDirectory();
  await Promise.all(COPIED.map((name) => cp(`${ROOT}${name}`, copy.join(name), { recursive: true })));
  await symlink(`${ROOT}node_modules`, copy.join("node_modules"));
  return copy;
}

async function applyEdits({ edits }: Recipe, copy: TemporaryDirectory): Promise<void> {
  for (const edit of edits) {
    const path = copy.join(edit.file);
    await mkdir(dirname(path), { recursive: true });
    if ("create" in edit) {
      await writeFile(path, edit.create, { flag: "wx" });
      continue;
    }
    const parts = (await readFile(path, "utf8")).split(edit.replace);
    expect(parts, `${edit.file} contains once: ${edit.replace}`).toHaveLength(2);
    await writeFile(path, parts.join(edit.by));
  }
}

const run = promisify(execFile);

/** Runs a program of the dependencies in the copy. Fails with everything that it printed. */
async function runIn(copy: TemporaryDirectory, program: string, args: readonly string[] = []): Promise<void> {
  try {
    const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
    await run(program, [...args], { cwd: copy.path, env, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { readonly stdout: string; readonly stderr: string };
    expect.fail(`${program} ${args.join(" ")}\n${stdout}${stderr}${message}`);
  }
}

describe("the recipe in CONTRIBUTING.md", () => {
  test.for(RECIPES)(
    "$title names exactly the files that have to change, and leads to something that works",
    { timeout: 120_000 },
    async (recipe) => {
      const named = filesOf(recipe.title);
      const touched = [...new Set([...recipe.edits.map(({ file }) => file), ...recipe.generated])];
      expect(touched.filter((path) => !named.some((file) => names(file, path)))).toEqual([]);
      expect(named.filter((file) => !touched.some((path) => names(file, path)))).toEqual([]);

      await using copy = await copySource();
      await applyEdits(recipe, copy);
      if (recipe.generated.length > 0) await runIn(copy, process.execPath, ["scripts/generate.ts"]);
      await runIn(copy, "node_modules/.bin/tsc");
      await runIn(copy, "node_modules/.bin/vitest", ["run", "test/architecture.test.ts", ...recipe.probe]);
    },
  );

  test("is tried for every recipe of the page", () => {
    const recipes = page.slice(page.indexOf("## Recipes"));
    const titles = [...recipes.matchAll(/^### (.+)$/gm)].map(([, title]) => title);
    expect(titles).toEqual(RECIPES.map(({ title }) => title));
  });
});
