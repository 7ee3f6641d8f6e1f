import { stripVTControlCharacters } from "node:util";

import { printable } from "../lib/error.ts";

/** Rows with their columns below each other. What comes from outside is made safe to print. */
export function table(rows: readonly (readonly string[])[]): string {
  const safe = rows.map((row) => row.map((cell) => printable(cell)));
  const widths = safe.reduce<number[]>(
    (known, row) => row.map((cell, column) => Math.max(known[column] ?? 0, width(cell))),
    [],
  );
  return safe
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - width(cell)),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function width(text: string): number {
  return stripVTControlCharacters(text).length;
}
