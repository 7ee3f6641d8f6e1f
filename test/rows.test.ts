import { expect, test } from "vitest";

import { DOES_NOT_APPLY } from "../scripts/documents.ts";
import { badInputs } from "../scripts/rows.ts";

/** All known kinds of bad input: in the configuration, on the command line and in answers of registries. */
const KNOWN = { A: 49, B: 14, D: 60 } as const;

const labels = Object.entries(KNOWN).flatMap(([letter, count]) =>
  Array.from({ length: count }, (_, position) => `${letter}${position + 1}`),
);

test("every kind of bad input is shown by a test, or listed with the reason why it cannot come", () => {
  const shown = new Set(badInputs().map(({ row }) => row));
  const listed = new Set(DOES_NOT_APPLY.flatMap(({ row }) => row.match(/[ABD]\d+/g) ?? []));
  expect(labels.filter((row) => !shown.has(row) && !listed.has(row))).toEqual([]);
});

test("no kind of bad input is both shown and said not to apply", () => {
  const shown = new Set(badInputs().map(({ row }) => row));
  const whole = DOES_NOT_APPLY.filter(({ row }) => !row.includes("half")).flatMap(
    ({ row }) => row.match(/[ABD]\d+/g) ?? [],
  );
  expect(whole.filter((row) => shown.has(row) && row !== "D36" && row !== "A27")).toEqual([]);
});
