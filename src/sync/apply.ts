import type { Mirror } from "../config/config.ts";
import { copyImage, type CopyOptions } from "../copy/copy.ts";
import { ERROR_CODES } from "../errors/codes.ts";
import { asTagferryError, type Failure, failureOf } from "../errors/error.ts";
import type { Action, Change, Plan, Push } from "../plan/action.ts";
import type { ApplyOptions } from "./apply-options.ts";
import type { Context } from "./context.ts";
import { openConfirm } from "./freshness.ts";
import { recordProof } from "./proofs/record-proof.ts";
import { openKnownParts } from "./proofs/signatures.ts";
import { isVerification, type Verification, verifyTag } from "./proofs/verify.ts";
import { NOTHING_MOVED, type Outcome } from "./report.ts";
import { locationOf } from "./sources.ts";
import { openTarget } from "./targets/open.ts";
import type { Copied, Publisher } from "./targets/target.ts";

/**
 * Applies a plan: pushes what is not to be published yet, claims the tags, copies the images, publishes the tags, and
 * records what was published.
 *
 * Applying an Action twice is harmless. A failed Action does not stop the others; only an abort stops them all.
 */
export async function applyPlan(
  plan: Plan,
  mirror: Mirror,
  context: Context,
  options: ApplyOptions,
): Promise<readonly Outcome[]> {
  const publisher = openTarget(mirror, context).publisher();
  const outcomes = new Map<string, Outcome>();
  const settle = (outcome: Outcome): void => {
    outcomes.set(outcome.tag, outcome);
    options.watch.outcome?.(outcome);
  };
  for (const action of plan.actions)
    if (action.kind === "keep" || action.kind === "refuse") settle(outcomeOf(action));
  const all = plan.actions.filter(
    (action): action is Change => action.kind === "create" || action.kind === "update",
  );
  const verifications = all.filter(isVerification);
  const changes = all.filter((change) => !isVerification(change));
  const pushes = plan.actions.filter((action) => action.kind === "push");
  const push = async (action: Push): Promise<Outcome> => {
    const { moved } = await copyOne(action, mirror, publisher, context, options);
    return { kind: "pushed", mirror: mirror.name, tag: action.tag, digest: action.image.digest, moved };
  };
  const verify = (change: Verification): Promise<Outcome> => verifyTag(change, mirror, context, options);
  await applyEach(pushes, push, publisher, options, settle);
  await applyEach(verifications, verify, publisher, options, settle);
  if (changes.length > 0) await applyChanges(changes, mirror, publisher, context, options, settle);
  await applyRemovals(plan.actions, publisher, options, settle);
  return plan.actions.flatMap(({ tag }) => outcomes.get(tag) ?? []);
}

function outcomeOf(action: Extract<Action, { readonly kind: "keep" | "refuse" }>): Outcome {
  const { mirror, tag } = action;
  return action.kind === "keep"
    ? {
        kind: "unchanged",
        mirror,
        tag,
        digest: action.digest,
        ...(action.since === undefined ? {} : { since: action.since }),
      }
    : failedOutcome({ mirror, tag }, action.failure);
}

/** An error of the class `policy` gives the outcome `refused`; every other error gives `failed`. */
export function failedOutcome(
  of: { readonly mirror: string; readonly tag: string },
  failure: Failure,
): Outcome {
  const kind = ERROR_CODES[failure.code].class === "policy" ? "refused" : "failed";
  return { kind, mirror: of.mirror, tag: of.tag, failure };
}

/** Applies Actions that write no tag, so that they need no claim and do not wait for each other. */
async function applyEach<A extends Push | Verification>(
  actions: readonly A[],
  apply: (action: A) => Promise<Outcome>,
  publisher: Publisher,
  { signal, copies }: ApplyOptions,
  settle: (outcome: Outcome) => void,
): Promise<void> {
  const applied = async (action: A): Promise<void> => {
    try {
      settle(await copies(() => apply(action), { signal }));
    } catch (error) {
      signal?.throwIfAborted();
      settle(failedOutcome(action, publisher.explain(failureOf(error))));
    }
  };
  await Promise.all(actions.map(applied));
}

async function applyChanges(
  changes: readonly Change[],
  mirror: Mirror,
  publisher: Publisher,
  context: Context,
  options: ApplyOptions,
  settle: (outcome: Outcome) => void,
): Promise<void> {
  const { signal, clock = () => new Date() } = options;
  const confirm = openConfirm(mirror, context, clock);
  const all = await attempt(() => publisher.claim(changes, { signal }), changes, signal);
  const copied: Copied[] = [];
  const noticed = new Map(all);
  await Promise.all(
    changes.map(async (change) => {
      const failure = all.get(change.tag);
      if (failure) return settle(failedOutcome(change, failure));
      try {
        const { moved, parts } = await options.copies(
          () =>
            copyOne(change, mirror, publisher, context, options, {
              tag: change.tag,
              isTagMissing: true, // the plan says so
              async assertStillOurs() {
                await options.assertStillOurs?.();
                await confirm(change, { signal });
              },
            }),
          { signal },
        );
        copied.push({ change, moved, parts });
      } catch (error) {
        signal?.throwIfAborted();
        const broken = publisher.explain(failureOf(error));
        noticed.set(change.tag, broken);
        settle(failedOutcome(change, broken));
      }
    }),
  );
  const failures = await attempt(
    async () => {
      await options.assertStillOurs?.();
      return publisher.publish(copied, { signal, confirm: (change) => confirm(change, { signal }) });
    },
    changes,
    signal,
  );
  for (const { change, moved, parts } of copied) {
    const failure = failures.get(change.tag);
    if (!failure) await recordProof(change, mirror, context, options, parts);
    settle(failure ? failedOutcome(change, failure) : published(change, moved, publisher));
  }
  for (const [tag, failure] of failures) noticed.set(tag, failure);
  await publisher.notice(
    [...noticed]
      .filter(([, { code }]) => code !== "SOURCE_MOVED") // the tag is planned again
      .map(([tag, failure]) => ({ tag, failure })),
    { signal },
  );
}

/** When a request about all tags of a stream fails, every tag gets this failure. An abort is thrown. */
async function attempt(
  task: () => Promise<ReadonlyMap<string, Failure>>,
  changes: readonly Change[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Failure>> {
  try {
    return await task();
  } catch (error) {
    signal?.throwIfAborted();
    const failure = failureOf(asTagferryError(error));
    return new Map(changes.map(({ tag }) => [tag, failure]));
  }
}

type Publication = Pick<CopyOptions, "tag" | "isTagMissing" | "assertStillOurs" | "referrerTags">;

/** Without `publication`, no tag is written. */
async function copyOne(
  action: Change | Push,
  mirror: Mirror,
  publisher: Publisher,
  context: Context,
  { watch, signal, occasion }: ApplyOptions,
  publication: Publication = { referrerTags: false },
): Promise<Omit<Copied, "change">> {
  const target = await publisher.copyTarget({ signal });
  if (!target) return { moved: NOTHING_MOVED, parts: {} };
  watch.begin?.(action);
  const copying = copyImage(action.image, await context.source(locationOf(mirror, action.from)), target, {
    ...publication,
    maxBytes: mirror.maxImageBytes,
    ...(mirror.platforms ? { platforms: mirror.platforms } : {}),
    referrers: mirror.referrers,
    lease: context.lease,
    memory: context.memory,
    occasion,
    signal,
  });
  const parts = openKnownParts();
  for (let step = await copying.next(); ; step = await copying.next()) {
    if (step.done) return { moved: step.value, parts: parts.of(action.image.digest) };
    parts.note(step.value);
    watch.copying?.(action, step.value);
  }
}

function published(
  { mirror, tag, image, replaces }: Change,
  moved: Copied["moved"],
  { imports }: Publisher,
): Outcome {
  const replaced = replaces === undefined ? {} : { replaced: replaces };
  return { kind: imports ? "imported" : "copied", mirror, tag, digest: image.digest, ...replaced, moved };
}

async function applyRemovals(
  actions: readonly Action[],
  publisher: Publisher,
  { signal }: ApplyOptions,
  settle: (outcome: Outcome) => void,
): Promise<void> {
  const prunes = actions.filter((action) => action.kind === "prune");
  const remembered = actions.filter((action) => action.kind === "remember");
  if (prunes.length + remembered.length === 0) return;
  const failures = new Map<string, Failure>();
  try {
    for (const [tag, failure] of await publisher.remove(prunes, { signal })) failures.set(tag, failure);
    await publisher.remember(remembered, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    for (const { tag } of [...prunes, ...remembered]) failures.set(tag, failureOf(error));
  }
  for (const { mirror, tag, digest } of prunes) {
    const failure = failures.get(tag);
    settle(
      failure
        ? failedOutcome({ mirror, tag }, failure)
        : { kind: "pruned", mirror, tag, ...(digest ? { digest } : {}) },
    );
  }
  for (const { mirror, tag, missingSince } of remembered) {
    const failure = failures.get(tag);
    const since = missingSince === undefined ? {} : { since: missingSince };
    settle(failure ? failedOutcome({ mirror, tag }, failure) : { kind: "missing", mirror, tag, ...since });
  }
}
