import { describe } from "vitest";

import { SOURCE, TARGET, TAGS, mirror, tagged, registry, testRows, type Row } from "../scene.ts";

const ROWS: readonly Row[] = [
  {
    row: "A10 an unknown key",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nplatform: x`),
    expected: ["CONFIG_UNKNOWN_KEY 6:5"],
  },
  {
    row: "A10 a key of a later version",
    text: `${tagged(TAGS)}include: [more.yaml]\n`,
    expected: ["CONFIG_UNKNOWN_KEY 6:1"],
  },
  {
    row: "A11 text for a boolean",
    text: mirror(`${SOURCE}\n${TARGET}\n${TAGS}\nreferrers: yes`),
    expected: ["CONFIG_TYPE 6:16"],
  },
  { row: "A11 a number for a tag", text: tagged("tags: [1.10]"), expected: ["CONFIG_TYPE 5:12"] },
  { row: "A11 null", text: tagged("tags:"), expected: ["CONFIG_TYPE 5:10"] },
  { row: "A11 a list for a map", text: "version: 1\nmirrors: {}\n", expected: ["CONFIG_TYPE 2:10"] },
  { row: "A42 no connections", text: registry("quay.io: {connections: 0}"), expected: ["CONFIG_RANGE 7:26"] },
  {
    row: "A42 a billion connections",
    text: registry("quay.io: {connections: 1000000000}"),
    expected: ["CONFIG_RANGE 7:26"],
  },
  {
    row: "A42 not a number",
    text: registry("quay.io: {requestsPerSecond: .nan}"),
    expected: ["CONFIG_RANGE 7:32"],
  },
  {
    row: "A49 a newer version",
    text: "version: 2\nmirrors: []\n",
    expected: ["CONFIG_VERSION 1:10", "CONFIG_TYPE 2:10"],
  },
  {
    row: "A49 no version",
    text: `mirrors:\n  - {${SOURCE}, target: "imagestream:web/b", ${TAGS}}\n`,
    expected: ["CONFIG_VERSION 1:1"],
  },
];

describe("a key or a value of another type", () => {
  testRows(ROWS);
});
