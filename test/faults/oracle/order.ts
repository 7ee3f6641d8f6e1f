import type { TagChange } from "../registry/repository.ts";

/**
 * Checks that the moves of a target's tag follow those of the source: each has a position in the source's history
 * that is not before the position of the previous move, and that existed at that time.
 * @returns what is wrong, in words
 */
export function orderProblems(
  tag: string,
  source: readonly TagChange[],
  target: readonly TagChange[],
): string[] {
  const positions = source.filter((change) => change.tag === tag && change.digest !== undefined);
  const problems: string[] = [];
  let position = 0;
  for (const { at, digest } of target.filter((change) => change.tag === tag)) {
    if (digest === undefined) continue;
    const next = positions.findIndex((change, index) => index >= position && change.digest === digest);
    const [found] = next === -1 ? [] : positions.slice(next);
    if (found === undefined) {
      const ever = positions.some((change) => change.digest === digest);
      problems.push(
        `${tag} ${ever ? "went back to" : "names what its source never had:"} ${digest} at ${at} ms`,
      );
    } else if (found.at > at) problems.push(`${tag} named ${digest} at ${at} ms, before its source did`);
    else position = next;
  }
  return problems;
}
