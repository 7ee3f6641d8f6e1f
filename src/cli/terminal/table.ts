import { oneLine } from "../../lib/pretty.ts";

/** Rows with aligned columns. Text from outside is made safe to print. */
export function table(rows: readonly (readonly string[])[]): string {
  const safe = rows.map((row) => row.map((cell) => oneLine(cell)));
  const widths: number[] = [];
  for (const row of safe)
    for (const [column, { length }] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, length);
  return safe
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
