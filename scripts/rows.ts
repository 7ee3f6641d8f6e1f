import { globSync, readFileSync } from "node:fs";

import { ERROR_CODES } from "../src/errors/codes.ts";

/** One kind of bad input with the test that shows its answer: A the configuration, B the command line, D a registry's answers. */
export type BadInput = {
  readonly row: string;
  readonly what: string;
  readonly codes: readonly string[];
  /** Where a test tells only that. */
  readonly exit: string | undefined;
  readonly file: string;
};

const ROOT = new URL("..", import.meta.url).pathname;
const TITLE = /["'`]((?:[ABD]\d{1,2} )+)((?:[^"'`\\]|\\.)+)["'`]/g;
/** Within this distance of its title a test names its code. */
const NEAR = 1_500;

/** The rows that tests are named after, in their order, with the codes that those tests expect. */
export function badInputs(): readonly BadInput[] {
  const found = globSync("test/**/*.test.ts", { cwd: ROOT }).toSorted().flatMap(rowsIn);
  return found.toSorted((one, other) => one.row.localeCompare(other.row, "en", { numeric: true }));
}

function rowsIn(file: string): BadInput[] {
  const text = readFileSync(`${ROOT}${file}`, "utf8");
  const titles = [...text.matchAll(TITLE)];
  return titles.flatMap((title, position) => {
    const [whole, labels = "", rest = ""] = title;
    const start = title.index + whole.length;
    const other = /\brow: |\n {0,2}test/.exec(text.slice(start));
    const own = Math.min(titles[position + 1]?.index ?? text.length, start + (other?.index ?? text.length));
    const below = (end: number): string => text.slice(title.index, Math.min(end, start + NEAR));
    const near = codesIn(below(own));
    const exit = /\bcode(?:: |\)\.toBe\()(\d)/.exec(below(own))?.[1];
    // the rows of a table of lists share the test below it
    const isListed = near.length === 0 && exit === undefined && text[title.index - 1] === "[";
    const codes = isListed ? codesIn(below(text.length)).slice(0, 1) : near;
    const what = rest.replace(/\$\{[^}]*\}|\\/g, "").replace(/: [A-Z_]{4,}.*$/, "");
    return labels
      .trim()
      .split(" ")
      .map((row) => ({ row, what, codes, file, exit: exit === undefined ? undefined : `exit code ${exit}` }));
  });
}

function codesIn(text: string): string[] {
  const words = text.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b/g) ?? [];
  return [...new Set(words.filter((word) => word in ERROR_CODES))].slice(0, 3);
}
