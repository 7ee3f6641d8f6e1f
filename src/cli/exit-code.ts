import { ERROR_CODES } from "../errors/codes.ts";
import { asTagferryError, type Failure, isTagferryError } from "../errors/error.ts";
import type { ErrorClass } from "../errors/facts.ts";
import type { Planned } from "../sync/check.ts";
import type { Report } from "../sync/report.ts";

/**
 * All exit codes. README.md and docs/output.md explain them to users.
 *
 * A signal ends a process with 128 and the number of the signal: main.ts.
 */
export const EXIT = {
  done: 0,
  /** Some tags failed, or a command found something that is not well. */
  some: 1,
  /** All tags failed, or the run could not start. */
  all: 2,
  /** The configuration or the command line is wrong. */
  usage: 3,
  /** Credentials were refused. */
  credentials: 4,
  /** `plan --exit-code` found changes, or policies refused and nothing else went wrong. */
  policy: 5,
} as const;

/** For an error that ended the whole command. */
export function exitCodeOfError(error: unknown): number {
  if (isTagferryError(error, "NODE_VERSION")) return EXIT.usage;
  return exitCodeOfClass(ERROR_CODES[asTagferryError(error).code].class);
}

function exitCodeOfClass(errorClass: ErrorClass): number {
  switch (errorClass) {
    case "usage":
      return EXIT.usage;
    case "credentials":
      return EXIT.credentials;
    case "policy":
      return EXIT.policy;
    case "source":
    case "target":
    case "environment":
      return EXIT.all;
  }
}

/** For the failures of a run; `good` tells whether something else of the run succeeded. */
export function exitCodeOfFailures(
  failures: readonly Failure[],
  { good }: { readonly good: boolean },
): number {
  if (failures.length === 0) return EXIT.done;
  const classes = new Set<ErrorClass>(failures.map(({ code }) => ERROR_CODES[code].class));
  const only = (wanted: ErrorClass): boolean => classes.size === 1 && classes.has(wanted);
  if (only("policy")) return EXIT.policy;
  if (good) return EXIT.some;
  return only("credentials") ? EXIT.credentials : EXIT.all;
}

export function exitCodeOfReport({ mirrors }: Report): number {
  const failures = mirrors.flatMap(({ failure, outcomes }) => [
    ...(failure ? [failure] : []),
    ...outcomes.flatMap((outcome) => ("failure" in outcome ? [outcome.failure] : [])),
  ]);
  const good = mirrors.some(({ outcomes }) => outcomes.some((outcome) => !("failure" in outcome)));
  return exitCodeOfFailures(failures, { good });
}

/** Changes count only with `--exit-code`; failures count as they do in a run. */
export function exitCodeOfPlan(
  planned: readonly Planned[],
  { exitCode = false }: { readonly exitCode?: boolean },
): number {
  const failures = planned.flatMap((one) =>
    one.kind === "failed"
      ? [one.failure]
      : one.plan.actions.flatMap((action) => (action.kind === "refuse" ? [action.failure] : [])),
  );
  if (failures.length > 0)
    return exitCodeOfFailures(failures, { good: planned.some(({ kind }) => kind === "planned") });
  const changes = planned.some(
    (one) => one.kind === "planned" && one.plan.actions.some(({ kind }) => kind !== "keep"),
  );
  return exitCode && changes ? EXIT.policy : EXIT.done;
}
