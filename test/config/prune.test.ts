import { describe } from "vitest";

import { SOURCE, mirror, testRows, type Row } from "./scene.ts";

const ROWS: readonly Row[] = [
  {
    row: "A38 prune where nothing is owned",
    text: mirror(`${SOURCE}\ntarget: reg.example/a/b\ntags: {all: true}\nprune: {grace: 7d}`),
    expected: ["CONFIG_PRUNE 6:5"],
  },
];

describe("a prune that is not possible", () => {
  testRows(ROWS);
});
