import type { Mirror } from "../../config/config.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Action, Change, Plan, Verify } from "../../plan/action.ts";
import type { Context } from "../context.ts";
import { openTarget } from "../targets/open.ts";
import { dueFor, type ProofRecord } from "./proofs.ts";
import { type ListedDigestTags, digestTagsOf } from "./signatures.ts";

export type VerificationOptions = {
  readonly now: Date;
  /** The digest tags of the listing; undefined when no listing was read. */
  readonly digestTags?: ListedDigestTags | undefined;
  /** The maximum of verifications in this plan. The rest is due in the next one. */
  readonly most?: number;
  /** Verifies every tag in this way, due or not. */
  readonly all?: "content" | "bytes" | undefined;
};

type Keep = Extract<Action, { readonly kind: "keep" }>;

/** A verification that is due, and what it costs to wait: `urgent` ones go first. */
type Due = { readonly verify: Verify; readonly urgent: boolean; readonly digestTags?: readonly string[] };

/**
 * Replaces actions that keep a tag by verifications, where these are due. Only reads records.
 *
 * A tag is due at once when the listing has a new digest tag for its image: somebody has signed it.
 */
export async function withVerifications(
  plan: Plan,
  mirror: Mirror,
  context: Context,
  options: VerificationOptions,
): Promise<Plan> {
  const { proofs } = context;
  const { most = Infinity, all } = options;
  const kept = plan.actions.filter((action) => action.kind === "keep");
  if (kept.length === 0 || (!proofs && all === undefined)) return plan;
  const target = openTarget(mirror, context).name;
  const known = (await proofs?.read(target)) ?? new Map<string, ProofRecord>();
  const due = kept.flatMap((action) => {
    const one = dueOf(action, known.get(action.tag), { mirror, target, ...options });
    return one ? [[action, one] as const] : [];
  });
  due.sort(([, one], [, other]) => Number(other.urgent) - Number(one.urgent));
  const chosen = new Map<Action, Due>(due.slice(0, most));
  const actions = plan.actions.map((action) => {
    const one = chosen.get(action);
    return one && action.kind === "keep" ? verification(action, one) : action;
  });
  return { ...plan, actions };
}

type Judged = VerificationOptions & { readonly mirror: Mirror; readonly target: string };

function dueOf(
  { digest, tag }: Keep,
  record: ProofRecord | undefined,
  { mirror: { verifyEveryMs, referrers }, target, now, digestTags: listed, all }: Judged,
): Due | undefined {
  const known = record?.digest === digest ? record : undefined;
  const tags = listed && digestTagsOf(known ?? { digest }, listed);
  const urgent = referrers && known !== undefined && hasNew(tags, known);
  const verify =
    all ??
    dueFor(record, { key: `${target} ${tag}`, digest, verifyEveryMs, now }) ??
    (urgent ? "referrers" : undefined);
  if (verify === undefined || (verify === "referrers" && !referrers)) return undefined;
  return { verify, urgent, ...(tags ? { digestTags: tags } : {}) };
}

function hasNew(tags: readonly string[] | undefined, { digestTags: known = [] }: ProofRecord): boolean {
  return tags?.some((tag) => !known.includes(tag)) ?? false;
}

function verification(
  { digest, mirror, tag, from, readAt, since }: Keep,
  { verify, urgent, digestTags }: Due,
): Change {
  // a digest from a listing comes without type and size
  const image: Descriptor = { mediaType: "application/octet-stream", digest, size: 0 };
  const reason = urgent
    ? "has new signatures"
    : verify === "referrers"
      ? "its signatures are due to be looked for"
      : "is due to be verified";
  const base = { mirror, tag, from, readAt, image, takeover: false, reason, verify };
  return {
    kind: "update",
    ...base,
    ...(digestTags ? { digestTags } : {}),
    ...(since === undefined ? {} : { since }),
  };
}
