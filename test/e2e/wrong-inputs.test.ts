import { existsSync, readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { EXAMPLES } from "../../src/cli/syntax/examples.ts";
import { ERROR_CODES } from "../../src/errors/codes.ts";
import { WRONG_COMMANDS, type WrongCommand } from "./wrong-inputs/commands.ts";
import { fileOf, WRONG_FILES, type WrongFile } from "./wrong-inputs/files.ts";
import { wrongInputsPage } from "./wrong-inputs/page.ts";
import { inParallel } from "./wrong-inputs/parallel.ts";
import { type Answer, openWorld, type World } from "./wrong-inputs/world.ts";

// Writes docs/wrong-inputs.md: npx vitest run test/e2e/wrong-inputs.test.ts -u

async function ask(world: World, input: WrongFile | WrongCommand): Promise<Answer> {
  if ("within" in input) return world.run(["validate"], { file: fileOf(input) });
  return world.run(wordsOf(input.args), input.env ? { env: input.env } : {});
}

/** As a shell with single quotes. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|[^\s']+/g)].map(([word, quoted]) => quoted ?? word);
}

const INPUTS: readonly (WrongFile | WrongCommand)[] = [...WRONG_FILES, ...WRONG_COMMANDS];

/** All flags are in it. */
const HELP = readFileSync(new URL("../../docs/commands.md", import.meta.url), "utf8");

/** The codes that an answer shows at the start of a problem. */
const codesIn = (text: string): string[] =>
  [...text.matchAll(/^(?:.*? )?([A-Z][A-Z0-9_]{3,}) {2}/gm)].flatMap(([, code = ""]) =>
    code in ERROR_CODES ? [code] : [],
  );

/** Commands, flags, pages and placeholders in an advice that lead nowhere. */
function namesNothing(next: string): string[] {
  const commands = [...next.matchAll(/`tagferry ([a-z]\S*?)[` ]/g)].filter(
    ([, name = ""]) => !(name in EXAMPLES),
  );
  const flags = [...next.matchAll(/(?<![\w-])--[a-z-]+/g)].filter(([flag]) => !HELP.includes(flag));
  const pages = [...next.matchAll(/\bdocs\/[\w.]+\w/g)].filter(
    ([page]) => !existsSync(new URL(`../../${page}`, import.meta.url)),
  );
  const words = [...next.matchAll(/\b(?:HOST|MIRROR)\b(?!:PORT|\/web)|the message lists/g)];
  return [...commands, ...flags, ...pages, ...words].map(([text]) => text);
}

describe("wrong inputs", async () => {
  await using world = await openWorld();
  const answers = await inParallel(INPUTS, 8, (input) => ask(world, input));

  test("are a hundred or more, and no two are the same", () => {
    const keys = INPUTS.map((input) =>
      JSON.stringify("within" in input ? fileOf(input) : [input.args, input.env]),
    );
    expect(new Set(keys).size).toBe(INPUTS.length);
    expect(INPUTS.length).toBeGreaterThanOrEqual(100);
  });

  test.for(INPUTS.map((input, at) => [input.what, input, answers[at]] as const))(
    "%s: one problem, and what to do next",
    ([, input, answer]) => {
      const { exit, text } = answer ?? { exit: -1, text: "" };
      expect.soft(codesIn(text), text).toEqual([input.code]);
      expect.soft(exit, text).toBe("exit" in input ? input.exit : 3);
      expect.soft(text).not.toMatch(/^\s+at .*:\d+|INTERNAL|undefined|\[object|\{[a-z]+\}/m);
      const next = /^ *next {5}(.+)$/m.exec(text)?.[1] ?? "";
      expect.soft(next, text).not.toBe("");
      expect.soft(namesNothing(next), next).toEqual([]);
    },
  );

  test("docs/wrong-inputs.md shows all answers", async () => {
    await expect(wrongInputsPage(INPUTS, answers)).toMatchFileSnapshot("../../docs/wrong-inputs.md");
  });
});
