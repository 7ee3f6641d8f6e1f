import type { Run, RunMark } from "./record-types.ts";

/** Warnings that a mark keeps. Lists need no more. */
const WARNINGS_KEPT = 5;

/** The short form of a finished run. */
export function markOf(run: Run & Pick<RunMark, "finishedAt" | "state">): RunMark {
  const { id, cause, startedAt, finishedAt, state, outcomes, warnings, failure } = run;
  return {
    id,
    cause,
    startedAt,
    finishedAt,
    state,
    bytes: outcomes.reduce((sum, one) => sum + ("moved" in one ? one.moved.bytes : 0), 0),
    published: outcomes.filter(({ kind }) => kind === "copied" || kind === "imported").length,
    failed: outcomes.filter(({ kind }) => kind === "failed" || kind === "refused").length,
    warnings: warnings.slice(0, WARNINGS_KEPT),
    ...(failure ? { failure } : {}),
  };
}
