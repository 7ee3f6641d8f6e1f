import type { Mirror } from "../config/config.ts";
import { targetName } from "../config/target-name.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { type Limit, limit } from "../lib/limit.ts";
import type { Location } from "../oci/reference.ts";
import type { Change, Plan } from "../plan/action.ts";
import type { ApplyOptions, Watch } from "./apply-options.ts";
import { applyPlan, failedOutcome } from "./apply.ts";
import { checkMirror, type Planned, recheckTags } from "./check.ts";
import type { Context } from "./context.ts";
import { withVerifications } from "./proofs/plan-verifications.ts";
import {
  failedMirror,
  type MirrorReport,
  mirrorReport,
  type Outcome,
  report,
  type Report,
} from "./report.ts";
import { openRun, type CheckRun } from "./run.ts";

/**
 * How many mirrors of one pair of source and target run at once. A registry that does not answer must not delay other
 * mirrors.
 */
const PAIR_WIDTH = 32;
/** How many tags are copied at once: for one pair (PAIR_COPIES) and in total (COPIES). */
const PAIR_COPIES = 4;
const COPIES = 16;
/** How often a tag is planned again when it changes during the copy. */
const RECHECKS_MAX = 3;

export type SyncOptions = Cancellable & {
  readonly now?: Date;
  readonly clock?: () => Date;
  /** Callbacks for progress and log lines. */
  readonly watch?: Watch;
  /** Verifies every tag that is in place, due or not. `bytes`: reads and hashes every blob. */
  readonly verify?: "content" | "bytes" | undefined;
};

/**
 * The first half of a run, and all of a dry run: reads sources and targets, writes nothing. The result has the order of
 * `mirrors`.
 */
export async function planMirrors(
  mirrors: readonly Mirror[],
  context: Context,
  options: SyncOptions = {},
): Promise<readonly Planned[]> {
  using run = openRun(context, options);
  return await each(mirrors, run.signal, (mirror) => checkMirror(mirror, run));
}

/**
 * A complete run: select → observe → confirm → plan → apply → report. Each mirror is planned and applied on its own, as
 * soon as possible. A mirror that fails or waits does not stop the others. The report has the order of `mirrors`.
 */
export async function syncMirrors(
  mirrors: readonly Mirror[],
  context: Context,
  { watch = {}, verify, ...options }: SyncOptions = {},
): Promise<Report> {
  const started = performance.now();
  using run = openRun(context, options);
  const copies = pairLimits(PAIR_COPIES);
  const all = limit(COPIES);
  const reports = await each(mirrors, run.signal, (mirror) =>
    syncMirror(mirror, run, verify, {
      signal: run.signal,
      now: run.now,
      clock: run.clock,
      watch,
      copies: (task, waiting) => copies(mirror)(() => all(task, waiting), waiting),
    }),
  );
  return report(reports, { startedAt: run.now, durationMs: performance.now() - started });
}

/**
 * Runs a task for every mirror. Mirrors with the same pair of registries share a limit; pairs do not wait for each
 * other.
 */
function each<T>(
  mirrors: readonly Mirror[],
  signal: AbortSignal,
  task: (mirror: Mirror) => Promise<T>,
): Promise<T[]> {
  const limits = pairLimits(PAIR_WIDTH);
  return Promise.all(mirrors.map((mirror) => limits(mirror)(() => task(mirror), { signal })));
}

function pairLimits(width: number): (mirror: Mirror) => Limit {
  const limits = new Map<string, Limit>();
  return ({ source, target }) => {
    const pair = `${hostOf(source)} ${target.kind === "registry" ? hostOf(target) : targetName(target)}`;
    const known = limits.get(pair) ?? limit(width);
    limits.set(pair, known);
    return known;
  };
}

function hostOf(location: Location): string {
  return location.kind === "registry" ? location.registry : location.directory;
}

async function syncMirror(
  mirror: Mirror,
  run: CheckRun,
  verify: SyncOptions["verify"],
  options: ApplyOptions,
): Promise<MirrorReport> {
  const planned = await checkMirror(mirror, run);
  options.watch.checked?.(mirror.name, planned.kind === "failed" ? [] : tagsToWrite(planned.plan));
  if (planned.kind === "failed") return failedMirror(mirror.name, planned.failure);
  const plan = await withVerifications(planned.plan, mirror, run.context, {
    now: run.now,
    digestTags: planned.digestTags,
    all: verify,
  });
  const outcomes = await applyRounds(plan, mirror, run, options);
  return mirrorReport(mirror.name, outcomes, planned.plan.warnings);
}

function tagsToWrite({ actions }: Plan): readonly string[] {
  return actions.filter(({ kind }) => kind === "create" || kind === "update").map(({ tag }) => tag);
}

/**
 * Applies a plan. Tags that changed at the source in the meantime are planned and applied again, at most RECHECKS_MAX
 * times.
 */
async function applyRounds(
  first: Plan,
  mirror: Mirror,
  run: CheckRun,
  options: ApplyOptions,
): Promise<readonly Outcome[]> {
  const outcomes = new Map<string, Outcome>();
  let next = first;
  for (let round = 0; ; round += 1) {
    const watch = round < RECHECKS_MAX ? withoutMoved(options.watch) : options.watch;
    const occasion = crypto.randomUUID(); // every round follows a check of its own
    const done = await applyPlan(next, mirror, run.context, { ...options, watch, occasion });
    for (const outcome of done) outcomes.set(outcome.tag, outcome);
    const moved = next.actions.filter((action): action is Change => hasMoved(outcomes.get(action.tag)));
    if (moved.length === 0 || round === RECHECKS_MAX) return [...outcomes.values()];
    const again = await recheckTags(mirror, moved, run);
    if (again.kind === "planned") next = again.plan;
    else {
      for (const change of moved) {
        const outcome = failedOutcome(change, again.failure);
        outcomes.set(change.tag, outcome);
        options.watch.outcome?.(outcome);
      }
      return [...outcomes.values()];
    }
  }
}

function hasMoved(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && "failure" in outcome && outcome.failure.code === "SOURCE_MOVED";
}

/** Does not report tags that will be planned again: they have no outcome yet. */
function withoutMoved(watch: Watch): Watch {
  return { ...watch, outcome: (outcome) => void (hasMoved(outcome) || watch.outcome?.(outcome)) };
}
