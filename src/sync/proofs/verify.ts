import type { Mirror } from "../../config/config.ts";
import { copyImage } from "../../copy/copy.ts";
import { compareReferrers, proveImage, type ProveOptions } from "../../copy/prove.ts";
import type { CopySummary, ImageFacts } from "../../copy/summary.ts";
import { TagferryError } from "../../errors/error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ImageSource, ImageTarget, Referrer } from "../../oci/store.ts";
import type { Change, Verify } from "../../plan/action.ts";
import type { ApplyOptions } from "../apply-options.ts";
import type { Context } from "../context.ts";
import type { Outcome } from "../report.ts";
import { locationOf } from "../sources.ts";
import { openTarget } from "../targets/open.ts";
import { recordProof } from "./record-proof.ts";
import { beneathOf, subjectsOf } from "./signatures.ts";

/** A change that publishes nothing. It proves that the content of a tag is in place, and sends again what is not. */
export type Verification = Change & { readonly verify: Verify };

export function isVerification(change: Change): change is Verification {
  return change.verify !== undefined;
}

/** How many digests an outcome, a log line and an error name. */
const NAMED_MAX = 20;

/**
 * Proves that all content of a tag is at the target, and looks for new signatures. Missing and damaged content is sent
 * again. The tag is not written, so no trigger fires.
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
  const since = change.since === undefined ? {} : { since: change.since };
  const outcome = { mirror: mirror.name, tag, digest: image.digest };
  const target = await openTarget(mirror, context).publisher().copyTarget(options);
  if (!target) return { kind: "unchanged", ...outcome, ...since };
  const source = await context.source(locationOf(mirror, change.from));
  const ends = { source, target, mirror, context };
  const { missing, late, subjects, facts } = await lossesOf(change, ends, options, verify === "bytes");
  const parts = verify === "referrers" ? {} : beneathOf(subjects, image.digest);
  if (missing.length === 0 && late === 0) {
    await recordProof(change, mirror, context, options, { verified: verify, ...parts });
    return { kind: "unchanged", ...outcome, ...since, ...(facts ? { image: facts } : {}) };
  }
  const digests = missing.slice(0, NAMED_MAX).map(({ digest }) => digest);
  if (missing.length > 0)
    context.log.warn(
      { mirror: mirror.name, tag, missing: missing.length, digests },
      `${target.name}:${tag} lacks content, or has damaged content; it is sent again`,
    );
  options.watch.begin?.(change);
  const moved = await sendAgain(change, missing, ends, options);
  // of the bytes, only those are read again that were sent again
  const sent = verify === "bytes" && new Set(missing.map(({ digest }) => digest));
  const after = await lossesOf({ ...change, verify: "content" }, ends, options, sent);
  if (after.missing.length > 0) throw unproven(change, after.missing, target);
  await recordProof(change, mirror, context, options, {
    verified: verify === "bytes" ? "bytes" : "content",
    ...beneathOf(after.subjects, image.digest),
  });
  // what the source lists and does not have is late for ever
  const referrers = Math.max(0, late - after.late);
  if (missing.length === 0 && referrers === 0) return { kind: "unchanged", ...outcome };
  const healed = { content: missing.length, referrers, ...(missing.length > 0 ? { digests } : {}) };
  return { kind: "copied", ...outcome, moved, healed };
}

/** Docker distribution, and so Harbor: an upload of a blob whose file exists is dropped. Seen with Debian's 2.8. */
const KEEPS_DAMAGED = "Some registries keep damaged content and ignore what is uploaded again.";

function unproven(
  { tag, verify }: Verification,
  missing: readonly Descriptor[],
  { name }: ImageTarget,
): TagferryError {
  const where = `${name}:${tag}`;
  const found = missing.slice(0, NAMED_MAX).map(({ digest }) => digest);
  return new TagferryError("TARGET_UNPROVEN", `${where} lacks ${found[0]} after it was sent again`, {
    where,
    found: `${missing.length} missing or damaged: ${found.join(", ")}`,
    allowed: 0,
    ...(verify === "bytes"
      ? {
          next: `${KEEPS_DAMAGED} Delete the file of this digest in the registry's storage, then sync again.`,
        }
      : {}),
  });
}

type Ends = {
  readonly source: ImageSource;
  readonly target: ImageTarget;
  readonly mirror: Mirror;
  readonly context: Context;
};

type Losses = {
  readonly missing: readonly Descriptor[];
  /** How many referrers the source lists and the target does not. */
  readonly late: number;
  readonly subjects: readonly Digest[];
  readonly facts: ImageFacts | undefined;
};

/** `bytes`: whether to read and hash all blobs, or which ones. */
async function lossesOf(
  { image, verify, digestTags = [] }: Verification,
  { source, target, mirror, context }: Ends,
  { signal, occasion }: ApplyOptions,
  bytes: boolean | ReadonlySet<Digest>,
): Promise<Losses> {
  const { platforms, referrers } = mirror;
  const { memory } = context;
  const { missing, subjects, facts } =
    verify === "referrers"
      ? { missing: [], subjects: [...new Set([image.digest, ...subjectsOf(digestTags)])], facts: undefined }
      : await proveImage(image, target, { platforms, bytes, memory, signal });
  if (!referrers) return { missing, late: 0, subjects, facts };
  const { late, listed } = await compareReferrers(subjects, source, target, { occasion, signal });
  const lost = verify === "referrers" ? [] : await lostOf(listed, target, { bytes, memory, signal });
  return { missing: [...missing, ...lost], late: late.length, subjects, facts };
}

/** What the target lists as referrers and does not have, or has damaged. */
async function lostOf(
  listed: readonly Referrer[],
  target: ImageTarget,
  options: ProveOptions,
): Promise<readonly Descriptor[]> {
  const lost = new Map<Digest, Descriptor>();
  for (const { descriptor } of listed)
    for (const one of (await proveImage(descriptor, target, options)).missing) lost.set(one.digest, one);
  return [...lost.values()];
}

async function sendAgain(
  change: Verification,
  missing: readonly Descriptor[],
  { source, target, mirror, context }: Ends,
  { watch, signal, occasion, assertStillOurs }: ApplyOptions,
): Promise<CopySummary> {
  await assertStillOurs?.();
  const again = new Set<Digest>(missing.map(({ digest }) => digest));
  const copying = copyImage(change.image, source, target, {
    ...(missing.length > 0 ? { again } : {}),
    ...(mirror.platforms ? { platforms: mirror.platforms } : {}),
    referrers: mirror.referrers,
    maxBytes: mirror.maxImageBytes,
    lease: context.lease,
    memory: context.memory,
    occasion,
    signal,
  });
  for (let step = await copying.next(); ; step = await copying.next()) {
    if (step.done) return step.value;
    watch.copying?.(change, step.value);
  }
}
