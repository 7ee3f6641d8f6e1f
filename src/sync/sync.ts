import type { Mirror } from "../config/config.ts";
import { failureOf, type Failure } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import { limit, mapConcurrently } from "../lib/limit.ts";
import type { Plan } from "../plan/action.ts";
import { clashes } from "../plan/conflicts.ts";
import { plan } from "../plan/plan.ts";
import type { Explained } from "../plan/select.ts";
import { applyPlan, type Watch } from "./apply.ts";
import type { Context } from "./context.ts";
import { findDesired } from "./desired.ts";
import { findObserved } from "./observed.ts";
import { failedMirror, type MirrorReport, mirrorReport, report, type Report } from "./report.ts";

/** Mirrors checked, and tags copied, at once. Registries have limits of their own below these. */
const MIRROR_CONCURRENCY = 8;
const COPY_CONCURRENCY = 4;

export type SyncOptions = Cancellable & {
  readonly now?: Date;
  /** Told what happens while it happens. */
  readonly watch?: Watch;
};

/** What one mirror would do, or why it cannot be told. */
export type Planned =
  | {
      readonly kind: "planned";
      readonly mirror: Mirror;
      readonly plan: Plan;
      readonly explained: readonly Explained[];
    }
  | { readonly kind: "failed"; readonly mirror: Mirror; readonly failure: Failure };

/** The first half of the story, and all of a dry run: reads sources and targets, writes nothing. */
export async function planMirrors(
  mirrors: readonly Mirror[],
  context: Context,
  { signal, now = new Date() }: SyncOptions = {},
): Promise<readonly Planned[]> {
  const planned = await Array.fromAsync(
    mapConcurrently(mirrors, MIRROR_CONCURRENCY, (mirror) => planMirror(mirror, context, { signal, now })),
  );
  const order = new Map(mirrors.map(({ name }, position) => [name, position]));
  planned.sort((one, other) => (order.get(one.mirror.name) ?? 0) - (order.get(other.mirror.name) ?? 0));
  return refuseClashes(planned);
}

async function planMirror(
  mirror: Mirror,
  context: Context,
  { signal, now }: Cancellable & { readonly now: Date },
): Promise<Planned> {
  try {
    const desired = await findDesired(mirror, await context.source(mirror.source), { now, signal });
    const observed = await findObserved(mirror, desired, context, { signal });
    return {
      kind: "planned",
      mirror,
      plan: plan(desired, observed, mirror, { now }),
      explained: desired.explained,
    };
  } catch (error) {
    signal?.throwIfAborted();
    return { kind: "failed", mirror, failure: failureOf(error) };
  }
}

/** Two mirrors whose rules select one tag of one target: neither writes it, and nothing moved yet. */
function refuseClashes(planned: readonly Planned[]): readonly Planned[] {
  const plans = planned.filter((one) => one.kind === "planned");
  const refused = clashes(plans);
  return planned.map((one) =>
    one.kind === "failed"
      ? one
      : {
          ...one,
          plan: {
            ...one.plan,
            actions: one.plan.actions.map((action) => {
              const failure = refused.get(one.mirror.name)?.get(action.tag);
              return failure === undefined
                ? action
                : {
                    kind: "refuse",
                    mirror: action.mirror,
                    tag: action.tag,
                    from: action.from,
                    readAt: action.readAt,
                    failure,
                  };
            }),
          },
        },
  );
}

/** The story: what is wanted and what is there → plan → apply → report. A mirror that fails stops no other. */
export async function syncMirrors(
  mirrors: readonly Mirror[],
  context: Context,
  { signal, now = new Date(), watch = {} }: SyncOptions = {},
): Promise<Report> {
  const started = performance.now();
  const planned = await planMirrors(mirrors, context, { signal, now });
  const copies = limit(COPY_CONCURRENCY);
  const apply = async (one: Planned): Promise<MirrorReport> => {
    if (one.kind === "failed") return failedMirror(one.mirror.name, one.failure);
    const outcomes = await applyPlan(one.plan, one.mirror, context, { signal, now, watch, copies });
    return mirrorReport(one.mirror.name, outcomes, one.plan.warnings);
  };
  const reports = await Promise.all(planned.map(apply));
  return report(reports, { startedAt: now, durationMs: performance.now() - started });
}
