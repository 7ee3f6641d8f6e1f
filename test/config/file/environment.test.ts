import { describe } from "vitest";

import { SOURCE, TARGET, TAGS, mirror, testRows, type Row } from "../scene.ts";

const ROWS: readonly Row[] = [
  {
    row: "A15 an unset variable",
    text: mirror(`source: quay.io/\${ABSENT}/b\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_ENVIRONMENT 3:13"],
  },
  {
    row: "A15 an empty variable",
    text: mirror(`name: "\${EMPTY}x"\n${SOURCE}\n${TARGET}\n${TAGS}`),
    expected: ["CONFIG_ENVIRONMENT 3:11"],
  },
];

describe("a variable without a value", () => {
  testRows(ROWS);
});
