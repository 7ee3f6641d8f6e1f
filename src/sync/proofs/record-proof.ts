import type { Mirror } from "../../config/config.ts";
import type { Change, Verify } from "../../plan/action.ts";
import type { ApplyOptions } from "../apply-options.ts";
import type { Context } from "../context.ts";
import { openTarget } from "../targets/open.ts";
import type { ProofRecord } from "./proofs.ts";
import type { KnownParts } from "./signatures.ts";

/** What was done with a tag: published, or verified. And the known parts of its image. */
export type Proved = KnownParts & { readonly verified?: Verify };

/** Records that a tag was published or proved. A failure to write the record only costs another proof later. */
export async function recordProof(
  { tag, image: { digest }, digestTags }: Change,
  mirror: Mirror,
  context: Context,
  { clock = () => new Date() }: ApplyOptions,
  { verified, ...parts }: Proved,
): Promise<void> {
  const { proofs, log } = context;
  if (!proofs) return;
  const target = openTarget(mirror, context).name;
  const now = clock().toISOString();
  try {
    const known = verified === undefined ? undefined : (await proofs.read(target)).get(tag);
    const before = known?.digest === digest ? known : undefined;
    // without a listing, what is known of the tags stays
    const tags = digestTags ?? parts.digestTags ?? before?.digestTags;
    const beneath = parts.beneath ?? before?.beneath;
    const record: ProofRecord = {
      digest,
      // a tag that was found in place is not new
      since: before?.since ?? (verified === undefined ? now : new Date(0).toISOString()),
      provedAt: verified === "referrers" && before ? before.provedAt : now,
      referrersAt: now,
      ...(beneath ? { beneath } : {}),
      ...(tags ? { digestTags: tags } : {}),
    };
    await proofs.write(target, tag, record);
  } catch (error) {
    log.debug({ err: error, mirror: mirror.name, tag }, "the proof of a tag was not recorded");
  }
}
