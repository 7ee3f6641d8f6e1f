import type { CopySummary } from "../../copy/summary.ts";
import type { Failure } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { ImageTarget } from "../../oci/store.ts";
import type { StreamName } from "../../openshift/image-stream.ts";
import type { Action, Change, Observed } from "../../plan/action.ts";

/** The target of one mirror. Each kind of target is one file that makes this; `openTarget` is the only place that asks for the kind. */
export type MirrorTarget = {
  /** As the configuration writes it: `imagestream:web/nginx`, `harbor.corp.example/mirror/nginx`, `oci:/srv/images`. */
  readonly name: string;
  /** The image stream that somebody else may change; undefined for a target that nobody watches. */
  readonly stream?: StreamName;
  /** Where the bytes live, as the configuration writes it; undefined where this is the target itself. */
  readonly storage?: string;
  /** Actions that have to be applied together: each group is one job. */
  jobsOf(actions: readonly Action[]): readonly (readonly Action[])[];
  /** Reads what the target holds: these tags, and those that the mirror owns. */
  observe(tags: readonly string[], options?: Cancellable): Promise<Observed["tags"]>;
  publisher(): Publisher;
};

/** Tags that failed, each with its failure. */
export type TagFailures = ReadonlyMap<string, Failure>;

/** A change whose bytes are in place. */
export type Copied = { readonly change: Change; readonly moved: CopySummary };

export type PublishOptions = Cancellable & {
  /** Asked for each tag right before an import publishes it; what it throws fails the tag. */
  readonly confirm?: ((change: Change) => Promise<void>) | undefined;
};

/** How the tags of one mirror come to point at what was copied. */
export type Publisher = {
  /** Whether publishing is an import by the cluster rather than a push of the tag. */
  readonly imports: boolean;
  /** Makes the tags ours, before the first byte moves. Tags of another owner are not touched. */
  claim(changes: readonly Change[], options?: Cancellable): Promise<TagFailures>;
  /** Where bytes go; undefined where none move. Copying with the tag is publishing, unless `imports`. */
  copyTarget(options?: Cancellable): Promise<ImageTarget | undefined>;
  /** After the copies: imports what has to be imported, proves that each tag is what was planned, and records it. */
  publish(copied: readonly Copied[], options?: PublishOptions): Promise<TagFailures>;
  /** Removes tags that are gone at the source. */
  remove(
    prunes: readonly Extract<Action, { readonly kind: "prune" }>[],
    options?: Cancellable,
  ): Promise<TagFailures>;
  /** Records since when tags are missing at the source (or that they are back). */
  remember(
    notes: readonly Extract<Action, { readonly kind: "remember" }>[],
    options?: Cancellable,
  ): Promise<void>;
  /** What a failed copy means at this kind of target, where the answer of the registry alone does not tell. */
  explain(failure: Failure): Failure;
  /** Tells people who look at the target what failed. Never fails itself. */
  notice(
    failed: readonly { readonly tag: string; readonly failure: Failure }[],
    options?: Cancellable,
  ): Promise<void>;
};
