import { describe } from "vitest";

import { SOURCE, TARGET, TAGS, mirror, testRows, type Row } from "../scene.ts";

const ROWS: readonly Row[] = [
  { row: "A7 a tab", text: "version: 1\nmirrors:\n\t- source: a\n", expected: ["CONFIG_SYNTAX"] },
  { row: "A7 no YAML", text: "version: [1\n", expected: ["CONFIG_SYNTAX"] },
  { row: "A8 two documents", text: "version: 1\n---\nversion: 1\n", expected: ["CONFIG_MULTIPLE_DOCUMENTS"] },
  {
    row: "A9 a key twice",
    text: mirror(`${SOURCE}\nsource: x\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_DUPLICATE_KEY 4:5"],
  },
  {
    row: "A12 an anchor and its alias",
    text: mirror(`${SOURCE}\ntarget: &t imagestream:web/b\nname: *t\n${TAGS}`),
    expected: ["CONFIG_ALIAS 4:16", "CONFIG_ALIAS 5:11"],
  },
  {
    row: "A12 a merge key",
    text: mirror(`<<: {}\n${SOURCE}\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_ALIAS 3:5"],
  },
  {
    row: "A13 nested too deeply",
    text: `version: ${"[".repeat(40)}${"]".repeat(40)}\n`,
    expected: ["CONFIG_DEPTH 1:42"],
  },
  {
    row: "A14 a reserved key",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\n__proto__: {}`),
    expected: ["CONFIG_RESERVED_KEY 6:5"],
  },
];

describe("YAML that is not accepted", () => {
  testRows(ROWS);
});
