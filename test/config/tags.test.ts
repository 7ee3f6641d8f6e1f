import { describe } from "vitest";

import { SOURCE, TARGET, mirror, tagged, testRows, type Row } from "./scene.ts";

const ROWS: readonly Row[] = [
  { row: "A26 a tag that is none", text: tagged('tags: ["-x"]'), expected: ["CONFIG_TAG 5:12"] },
  {
    row: "A26 a tag of 129 characters",
    text: tagged(`tags: [${"a".repeat(129)}]`),
    expected: ["CONFIG_TAG 5:12"],
  },
  { row: "A28 a short digest", text: tagged('tags: ["1@sha256:abc"]'), expected: ["CONFIG_DIGEST 5:12"] },
  {
    row: "A29 a regex that is not valid",
    text: tagged('tags: {regex: ["a(b"]}'),
    expected: ["CONFIG_REGEX 5:20"],
  },
  { row: "A30 a lookahead", text: tagged('tags: {regex: "a(?=b)"}'), expected: ["CONFIG_REGEX_UNSAFE 5:19"] },
  {
    row: "A30 a regex of 1001 characters",
    text: tagged(`tags: {regex: ${"a".repeat(1001)}}`),
    expected: ["CONFIG_REGEX_UNSAFE 5:19"],
  },
  {
    row: "A31 a range that is none",
    text: tagged('tags: {semver: "not a range"}'),
    expected: ["CONFIG_FILTER 5:20"],
  },
  {
    row: "A31 a glob with an open bracket",
    text: tagged('tags: {glob: ["1.*", "[a"]}'),
    expected: ["CONFIG_FILTER 5:26"],
  },
  {
    row: "A40 a duration without a unit",
    text: tagged("tags: {all: true, since: '90'}"),
    expected: ["CONFIG_DURATION 5:30"],
  },
  {
    row: "A40 a negative duration",
    text: tagged("tags: {all: true, since: -1d}"),
    expected: ["CONFIG_DURATION 5:30"],
  },
  {
    row: "A40 an overflow",
    text: tagged("tags: {all: true, since: 999999999999d}"),
    expected: ["CONFIG_DURATION 5:30"],
  },
  {
    row: "a mirror without tags: nothing is mirrored by accident",
    text: mirror(`${SOURCE}\n${TARGET}`),
    expected: ["CONFIG_TYPE 3:5"],
  },
  { row: "rules that include nothing", text: tagged("tags: {newest: 3}"), expected: ["CONFIG_FILTER 5:11"] },
];

describe("tags and tag rules that are refused", () => {
  testRows(ROWS);
});
