import { describe } from "vitest";

import { SOURCE, TARGET, TAGS, mirror, testRows, type Row } from "./scene.ts";

const ROWS: readonly Row[] = [
  {
    row: "A34 the source is its target",
    text: mirror(`${SOURCE}\ntarget: quay.io/a/b\n${TAGS}`),
    expected: ["CONFIG_SELF 4:13"],
  },
  {
    row: "A34 the source is the storage",
    text: mirror(`${SOURCE}\n${TARGET}\nstorage: quay.io/a/b\n${TAGS}`),
    expected: ["CONFIG_SELF 5:14"],
  },
  {
    row: "A36 two mirrors write one tag",
    text: `${mirror(`name: x\n${SOURCE}\n${TARGET}\n${TAGS}`)}  - {name: y, source: quay.io/c/d, target: "imagestream:web/b", tags: [latest]}\n`,
    expected: ["CONFIG_OVERLAP 7:5"],
  },
  {
    row: "A36 two mirrors of one name",
    text: `${mirror(`${SOURCE}\n${TARGET}\n${TAGS}`)}  - {source: quay.io/c/d, target: "imagestream:web/b", tags: [other]}\n`,
    expected: ["CONFIG_OVERLAP 6:5"],
  },
];

describe("mirrors that do not go together", () => {
  testRows(ROWS);
});
