/** The known word that is closest to a misspelled word; undefined when none is close. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const plural = word.replace(/y$/, "ies");
  const ranked = known
    .map((one) => ({
      one,
      distance: Math.min(
        ...[word, plural].map((spelling) => distance(spelling.toLowerCase(), one.toLowerCase())),
      ),
    }))
    .toSorted((left, right) => left.distance - right.distance);
  const [best] = ranked;
  return best && best.distance <= Math.max(1, Math.floor(word.length / 3)) ? best.one : undefined;
}

/** The Levenshtein distance. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, position) => position);
  for (const [line, left] of one.split("").entries()) {
    const next = [line + 1];
    for (const [column, right] of other.split("").entries())
      next.push(
        Math.min(
          (row[column + 1] ?? 0) + 1,
          (next[column] ?? 0) + 1,
          (row[column] ?? 0) + (left === right ? 0 : 1),
        ),
      );
    row = next;
  }
  return row.at(-1) ?? 0;
}
