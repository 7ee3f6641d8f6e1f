import type { Mirror } from "../config/config.ts";
import { copyImage } from "../copy/copy.ts";
import { findLateReferrers, proveImage } from "../copy/prove.ts";
import type { CopySummary } from "../copy/summary.ts";
import { TagferryError } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { ImageSource, ImageTarget } from "../oci/store.ts";
import type { Action, Change, Plan } from "../plan/action.ts";
import type { ApplyOptions } from "./apply-options.ts";
import type { Context } from "./context.ts";
import { type DueFor, dueFor } from "./proofs.ts";
import type { Outcome } from "./report.ts";
import { locationOf } from "./sources.ts";
import { openTarget } from "./targets/open.ts";

/** A change that publishes nothing. It proves that the content of a tag is in place, and sends again what is lost. */
export type Verification = Change & { readonly verify: DueFor };

export function isVerification(change: Change): change is Verification {
  return change.verify !== undefined;
}

/**
 * Replaces actions that keep a tag by verifications, where these are due. Only reads records.
 *
 * @param most the maximum of verifications in this plan; the rest is due in the next one
 */
export async function withVerifications(
  plan: Plan,
  mirror: Mirror,
  context: Context,
  { now, most = Infinity }: { readonly now: Date; readonly most?: number },
): Promise<Plan> {
  const { proofs } = context;
  if (!proofs || !plan.actions.some(({ kind }) => kind === "keep")) return plan;
  const target = openTarget(mirror, context).name;
  const known = await proofs.read(target);
  let left = most;
  const actions = plan.actions.map((action): Action => {
    if (action.kind !== "keep" || left <= 0) return action;
    const { digest, tag } = action;
    const { verifyEveryMs, referrers } = mirror;
    const due = dueFor(known.get(tag), { key: `${target} ${tag}`, digest, verifyEveryMs, now });
    if (due === undefined || (due === "referrers" && !referrers)) return action;
    left -= 1;
    return verification(action, due);
  });
  return { ...plan, actions };
}

function verification(
  { digest, mirror, tag, from, readAt }: Extract<Action, { readonly kind: "keep" }>,
  verify: DueFor,
): Change {
  // a digest from a listing comes without type and size
  const image: Descriptor = { mediaType: "application/octet-stream", digest, size: 0 };
  const reason = verify === "content" ? "is due to be verified" : "its signatures are due to be looked for";
  return { kind: "update", mirror, tag, from, readAt, image, takeover: false, reason, verify };
}

/**
 * Proves that all content of a tag is at the target, and looks for new signatures. Missing content is sent again. The
 * tag is not written, so no trigger fires.
 *
 * @throws {TagferryError} TARGET_UNPROVEN when content is still missing after it was sent, and the errors of copying
 */
export async function verifyTag(
  change: Verification,
  mirror: Mirror,
  context: Context,
  options: ApplyOptions,
): Promise<Outcome> {
  const { tag, image, verify } = change;
  const outcome = { mirror: mirror.name, tag, digest: image.digest };
  const target = await openTarget(mirror, context).publisher().copyTarget(options);
  if (!target) return { kind: "unchanged", ...outcome };
  const source = await context.source(locationOf(mirror, change.from));
  const { missing, late } = await lossesOf(change, source, target, mirror, options);
  if (missing.length === 0 && late === 0) {
    await recordProof(change, mirror, context, options, verify);
    return { kind: "unchanged", ...outcome };
  }
  options.watch.begin?.(change);
  const moved = await sendAgain(change, missing, { source, target, mirror, context }, options);
  const { missing: still } = await lossesOf(
    { ...change, verify: "content" },
    source,
    target,
    mirror,
    options,
  );
  const [first] = still;
  if (first)
    throw new TagferryError(
      "TARGET_UNPROVEN",
      `${target.name}:${tag} lacks ${first.digest} after it was sent again`,
      {
        where: `${target.name}:${tag}`,
        found: `${still.length} missing`,
        allowed: 0,
      },
    );
  await recordProof(change, mirror, context, options, "content");
  return { kind: "copied", ...outcome, moved, healed: { content: missing.length, referrers: late } };
}

async function lossesOf(
  { image, verify }: Verification,
  source: ImageSource,
  target: ImageTarget,
  { platforms, referrers }: Mirror,
  { signal }: ApplyOptions,
): Promise<{ readonly missing: readonly Descriptor[]; readonly late: number }> {
  const { missing, subjects } =
    verify === "content"
      ? await proveImage(image, target, { platforms, signal })
      : { missing: [], subjects: [image.digest] };
  const late = referrers ? await findLateReferrers(subjects, source, target, { signal }) : [];
  return { missing, late: late.length };
}

type Ends = {
  readonly source: ImageSource;
  readonly target: ImageTarget;
  readonly mirror: Mirror;
  readonly context: Context;
};

async function sendAgain(
  change: Verification,
  missing: readonly Descriptor[],
  { source, target, mirror, context }: Ends,
  { watch, signal, assertStillOurs }: ApplyOptions,
): Promise<CopySummary> {
  await assertStillOurs?.();
  const again = new Set<Digest>(missing.map(({ digest }) => digest));
  const copying = copyImage(change.image, source, target, {
    ...(missing.length > 0 ? { again } : {}),
    ...(mirror.platforms ? { platforms: mirror.platforms } : {}),
    referrers: mirror.referrers,
    maxBytes: mirror.maxImageBytes,
    lease: context.lease,
    signal,
  });
  for (let step = await copying.next(); ; step = await copying.next()) {
    if (step.done) return step.value;
    watch.copying?.(change, step.value);
  }
}

/** Records that a tag was published or proved. A failure to write it only costs another proof later. */
export async function recordProof(
  { tag, image: { digest } }: Change,
  mirror: Mirror,
  context: Context,
  { clock = () => new Date() }: ApplyOptions,
  what: DueFor | "published",
): Promise<void> {
  const { proofs, log } = context;
  if (!proofs) return;
  const target = openTarget(mirror, context).name;
  const now = clock().toISOString();
  try {
    const known = what === "published" ? undefined : (await proofs.read(target)).get(tag);
    const before = known?.digest === digest ? known : undefined;
    await proofs.write(target, tag, {
      digest,
      // a tag that was found in place is not new
      since: before?.since ?? (what === "published" ? now : new Date(0).toISOString()),
      provedAt: what === "referrers" && before ? before.provedAt : now,
      referrersAt: now,
    });
  } catch (error) {
    log.debug({ err: error, mirror: mirror.name, tag }, "the proof of a tag was not recorded");
  }
}
