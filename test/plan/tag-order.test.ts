import { expect, test } from "vitest";

import { compareTags, inTagOrder } from "../../src/plan/tag-order.ts";

test("versions come first, the older before the newer, then all other names", () => {
  const order = [
    "1.2",
    "1.9",
    "1.9-alpine",
    "1.10.0-rc1",
    "1.10",
    "1.10-alpine",
    "2.0",
    "build-9",
    "build-10",
    "main",
  ];
  const shuffled = order.toSorted();
  expect(shuffled.toSorted(compareTags)).toEqual(order);
  expect(inTagOrder(shuffled.map((tag) => ({ tag }))).map(({ tag }) => tag)).toEqual(order);
});
