import type { Failure } from "../errors/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Explained } from "./select.ts";

/** Where a tag comes from: the source as `formatLocation` writes it, and the name of the tag there. */
export type TagSource = { readonly source: string; readonly tag: string };

/** `readAt` (ISO) is taken before the source was asked: what happened at the source later is not in the answer. */
type Read = { readonly from: TagSource; readonly readAt: string };

/** What a mirror wants, read from its source. */
export type Desired = {
  readonly mirror: string;
  /** ISO: when the first question was sent to the source. No tag was read earlier. */
  readonly readAt: string;
  /** The selected tags, each resolved once: from here on they are known by their digests. */
  readonly tags: readonly DesiredTag[];
  /** Every tag that was looked at, with the rule that kept or dropped it. */
  readonly explained: readonly Explained[];
  /** Whether the listing was complete: only then may absence mean anything. */
  readonly listing: "complete" | "none" | "empty" | "failed";
};

/** `tag` is the name at the target, `from.tag` the name at the source. */
export type DesiredTag = Read & { readonly tag: string } & (
    | { readonly kind: "resolved"; readonly image: Descriptor }
    /** The source has no such tag. */
    | { readonly kind: "missing" }
    | { readonly kind: "failed"; readonly failure: Failure }
  );

/** What the target holds now. Only tags that matter to this mirror: those it owns, and those it wants. */
export type Observed = {
  readonly mirror: string;
  readonly tags: Readonly<Record<string, ObservedTag>>;
};

export type ObservedTag = {
  /** undefined: the tag has never been imported or pushed. */
  readonly digest?: Digest;
  /** Whether the bytes are where the mirror's storage wants them. Always true for registries and layouts. */
  readonly inPlace: boolean;
  /** Who may write it. `free`: it does not exist. `unowned`: it exists and nobody claims it. */
  readonly owner:
    | { readonly kind: "us" }
    | { readonly kind: "free" }
    | { readonly kind: "unowned"; readonly importsFrom?: string }
    | { readonly kind: "other"; readonly installation: string; readonly mirror: string };
  /** The tag follows another tag or is a bare reference; pushing to it would be undone. */
  readonly follows?: string;
  /** The spec tag that imports from elsewhere, when there is one: an unfinished (or undone) takeover. */
  readonly importsFrom?: string;
  /** The digest we published last, by our annotation. */
  readonly published?: Digest;
  /** ISO date of the first complete listing in which the source lacked the tag. */
  readonly missingSince?: string;
  /** We took this tag over before, and its spec tag is back; the field manager that wrote it. */
  readonly contestedBy?: string;
};

/** One tag of one target: the unit of job, retry, lock, log line and test case. JSON-safe. */
export type Action =
  | ({
      readonly kind: "create" | "update";
      readonly image: Descriptor;
      readonly takeover: boolean;
      readonly replaces?: Digest;
      readonly reason: string;
      /** Nothing is published: what is in place (or what refers to it) is proved, and sent again where it was lost. */
      readonly verify?: "content" | "referrers";
    } & ActionBase)
  | ({ readonly kind: "keep"; readonly digest: Digest; readonly reason: string } & ActionBase)
  | ({
      readonly kind: "prune";
      readonly digest?: Digest;
      readonly missingSince: string;
      readonly reason: string;
    } & ActionBase)
  /** Nothing is published: it is recorded since when the source lacks the tag (or that the tag is back). */
  | ({ readonly kind: "remember"; readonly missingSince?: string; readonly reason: string } & ActionBase)
  | ({ readonly kind: "refuse"; readonly failure: Failure } & ActionBase);

export type ActionBase = Read & { readonly mirror: string; readonly tag: string };

/** An Action that publishes an image under a tag. */
export type Change = Extract<Action, { readonly kind: "create" | "update" }>;

export type Plan = {
  readonly mirror: string;
  readonly actions: readonly Action[];
  /** What a person should know although nothing failed: rules that match nothing, a cap that held pruning back. */
  readonly warnings: readonly Failure[];
};
