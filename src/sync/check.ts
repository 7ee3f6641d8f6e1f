import type { Mirror } from "../config/config.ts";
import { type Failure, failureOf } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Change, Observed, Plan } from "../plan/action.ts";
import { refuseConflicts, wantedTags } from "../plan/conflicts.ts";
import { plan } from "../plan/plan.ts";
import type { Explained } from "../plan/select.ts";
import { confirmTags } from "./desired.ts";
import type { ListedDigestTags } from "./proofs/signatures.ts";
import { beforeDeadline, type CheckRun } from "./run.ts";
import type { Selection } from "./selection.ts";
import { openTarget } from "./targets/open.ts";

/** The plan of one mirror, or the reason why there is none. */
export type Planned =
  | {
      readonly kind: "planned";
      readonly mirror: Mirror;
      readonly plan: Plan;
      readonly explained: readonly Explained[];
      /** As in `Selection`. */
      readonly digestTags?: ListedDigestTags | undefined;
    }
  | { readonly kind: "failed"; readonly mirror: Mirror; readonly failure: Failure };

/**
 * Checks one mirror: select → observe → confirm → plan → conflicts with other mirrors. It only reads. It ends within
 * the mirror's deadline, whatever the registries do.
 */
export function checkMirror(mirror: Mirror, run: CheckRun): Promise<Planned> {
  return checked(mirror, run, async (signal) => {
    const selection = await run.selection(mirror, { signal });
    const { observed, made } = await planSelection(mirror, selection, run, { signal });
    const rivals = await run.rivals(mirror, wantedTags(made), { signal });
    return {
      kind: "planned",
      mirror,
      plan: refuseConflicts(made, mirror, observed, rivals),
      explained: selection.explained,
      digestTags: selection.digestTags,
    };
  });
}

/**
 * Checks some tags again, because they changed at the source after they were read. Their mirror was already checked in
 * this run.
 */
export function recheckTags(mirror: Mirror, changes: readonly Change[], run: CheckRun): Promise<Planned> {
  return checked(mirror, run, async (signal) => {
    const selection: Selection = {
      readAt: run.clock().toISOString(),
      tags: changes.map(({ tag, from }) => ({ tag, from })),
      failed: [],
      explained: [],
      listing: "none",
    };
    const { made } = await planSelection(mirror, selection, run, { signal });
    return { kind: "planned", mirror, plan: made, explained: [] };
  });
}

async function checked(
  mirror: Mirror,
  { signal }: CheckRun,
  task: (signal: AbortSignal) => Promise<Planned>,
): Promise<Planned> {
  try {
    return await beforeDeadline(mirror, { signal }, task);
  } catch (error) {
    signal.throwIfAborted();
    return { kind: "failed", mirror, failure: failureOf(error) };
  }
}

async function planSelection(
  mirror: Mirror,
  selection: Selection,
  { context, clock, now }: CheckRun,
  { signal }: Cancellable,
): Promise<{ readonly made: Plan; readonly observed: Observed["tags"] }> {
  const names = selection.tags.map(({ tag }) => tag);
  const observed = await openTarget(mirror, context).observe(names, { signal });
  const desired = await confirmTags(mirror, selection, observed, context, { signal, clock });
  return { made: plan(desired, { mirror: mirror.name, tags: observed }, mirror, { now }), observed };
}
