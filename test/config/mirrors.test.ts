import { describe } from "vitest";

import { SOURCE, TARGET, TAGS, mirror, tagged, testRows, type Row } from "./scene.ts";

const ROWS: readonly Row[] = [
  {
    row: "A43 a platform with a typo",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nplatforms: [linux/amd46]`),
    expected: ["CONFIG_PLATFORM 6:17"],
  },
  {
    row: "a problem under defaults",
    text: `${tagged(TAGS)}defaults: {platforms: [bad]}\n`,
    expected: ["CONFIG_PLATFORM 6:24"],
  },
];

describe("a mirror that is refused", () => {
  testRows(ROWS);
});
