import { expect, test } from "vitest";

import { table } from "../../../src/cli/terminal/table.ts";

test("columns stand below each other, without blanks at the end of a line", () => {
  expect(
    table([
      ["kept", "1.27", "x"],
      ["dropped", "1", ""],
      ["a", "b", "c"],
    ]),
  ).toBe(["kept     1.27  x", "dropped  1", "a        b     c"].join("\n"));
});

test("a short row in between does not push the others out of line", () => {
  expect(table([["aaaa", "bbbb", "c"], ["a"], ["a", "b", "c"]])).toBe(
    ["aaaa  bbbb  c", "a", "a     b     c"].join("\n"),
  );
});

test("what a registry says stays in its cell and controls nothing", () => {
  expect(table([["a\nb", "\u001b[31mred"]])).toBe("a\\nb  \\u001b[31mred");
});
