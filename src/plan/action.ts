import type { Failure } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Explained } from "./select.ts";

/** Where a tag comes from: the source as `formatLocation` writes it, and the name of the tag there. */
export type TagSource = { readonly source: string; readonly tag: string };

/**
 * `readAt` (ISO) is taken before the request to the source. So later changes at the source may be missing in the
 * answer.
 */
type Read = { readonly from: TagSource; readonly readAt: string };

/** What a mirror wants, as read from its source. */
export type Desired = {
  readonly mirror: string;
  /** ISO: the time of the first request to the source. No tag was read earlier. */
  readonly readAt: string;
  /** The selected tags, each resolved to a digest once. After this, only the digests are used. */
  readonly tags: readonly DesiredTag[];
  /** Every tag that was considered, with the rule that kept or dropped it. */
  readonly explained: readonly Explained[];
  /** Whether the listing was complete. Only a complete listing proves that a tag is missing. */
  readonly listing: "complete" | "none" | "empty" | "failed";
};

/** `tag` is the name at the target; `from.tag` is the name at the source. */
export type DesiredTag = Read & { readonly tag: string } & (
    | { readonly kind: "resolved"; readonly image: Descriptor }
    /** The tag does not exist at the source. */
    | { readonly kind: "missing" }
    | { readonly kind: "failed"; readonly failure: Failure }
  );

/** What the target has now. Only the tags that this mirror owns or wants. */
export type Observed = {
  readonly mirror: string;
  readonly tags: Readonly<Record<string, ObservedTag>>;
};

export type ObservedTag = {
  /** undefined: the tag was never imported or pushed. */
  readonly digest?: Digest;
  /** Whether the bytes are where the mirror's storage requires them. Always true for registries and layouts. */
  readonly inPlace: boolean;
  /** Who may write the tag. `free`: it does not exist. `unowned`: it exists and has no owner. */
  readonly owner:
    | { readonly kind: "us" }
    | { readonly kind: "free" }
    | { readonly kind: "unowned"; readonly importsFrom?: string }
    | { readonly kind: "other"; readonly installation: string; readonly mirror: string };
  /** The tag follows another tag, or is only a reference; pushing to it would be undone. */
  readonly follows?: string;
  /** The source of the spec tag when it imports: a takeover is unfinished or was undone. */
  readonly importsFrom?: string;
  /** The digest that we published last, from our annotation. */
  readonly published?: Digest;
  /** ISO date of the first complete listing without the tag. */
  readonly missingSince?: string;
  /** The field manager that restored the spec tag after we took the tag over. */
  readonly contestedBy?: string;
  /** ISO: since when the tag points at this digest, where the target tells. */
  readonly since?: string;
};

/** One tag of one target: the unit of job, retry, lock, log line and test case. JSON-safe. */
export type Action =
  | ({
      readonly kind: "create" | "update";
      readonly image: Descriptor;
      readonly takeover: boolean;
      readonly replaces?: Digest;
      readonly reason: string;
      /** Nothing is published. What is in place is verified, and sent again where it is missing or damaged. */
      readonly verify?: Verify;
      /** With `verify`: the digest tags of the image in the listing. */
      readonly digestTags?: readonly string[];
      /** As in `keep`, when nothing is published. */
      readonly since?: string;
    } & ActionBase)
  /**
   * Pushes the image, what it names and its referrers by digest. No tag is written, claimed or recorded: a later
   * `create` or `update` publishes `tag` and finds everything in place.
   */
  | ({ readonly kind: "push"; readonly image: Descriptor; readonly reason: string } & ActionBase)
  | ({
      readonly kind: "keep";
      readonly digest: Digest;
      readonly reason: string;
      /** ISO: since when it is in place, where the target tells. */
      readonly since?: string;
    } & ActionBase)
  | ({
      readonly kind: "prune";
      readonly digest?: Digest;
      readonly missingSince: string;
      readonly reason: string;
    } & ActionBase)
  /** Nothing is published. Records since when the source does not have the tag, or that the tag is back. */
  | ({ readonly kind: "remember"; readonly missingSince?: string; readonly reason: string } & ActionBase)
  | ({ readonly kind: "refuse"; readonly failure: Failure } & ActionBase);

/**
 * What is verified. `referrers`: that the target has all referrers of the source. `content`: also that all content is
 * there. `bytes`: also that the bytes of all content are right.
 */
export type Verify = "referrers" | "content" | "bytes";

export type ActionBase = Read & { readonly mirror: string; readonly tag: string };

/** An Action that publishes an image under a tag. */
export type Change = Extract<Action, { readonly kind: "create" | "update" }>;

/** An Action that copies an image and publishes nothing. */
export type Push = Extract<Action, { readonly kind: "push" }>;

export type Plan = {
  readonly mirror: string;
  readonly actions: readonly Action[];
  /** Problems that are not failures: rules that match nothing, a limit that stopped pruning. */
  readonly warnings: readonly Failure[];
};
