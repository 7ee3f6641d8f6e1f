import type { CopySummary } from "../../copy/summary.ts";
import type { Failure } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { ImageTarget } from "../../oci/store.ts";
import type { StreamName } from "../../openshift/image-stream.ts";
import type { Action, Change, Observed } from "../../plan/action.ts";
import type { KnownParts } from "../proofs/signatures.ts";

/**
 * The target of one mirror. Each kind of target has one file that implements this type. Only `openTarget` asks for the
 * kind.
 */
export type MirrorTarget = {
  /** As the configuration writes it: `imagestream:web/nginx`, `harbor.corp.example/mirror/nginx`, `oci:/srv/images`. */
  readonly name: string;
  /** The image stream, which others may change; undefined for a target that is not watched. */
  readonly stream?: StreamName;
  /** `registry/repository` from which clients pull the tags; undefined when they cannot. */
  readonly pullFrom?: string;
  /** Where the bytes are stored, as the configuration writes it; undefined when the target itself stores them. */
  readonly storage?: string;
  /** Groups actions that must be applied together. Each group is one job. */
  jobsOf(actions: readonly Action[]): readonly (readonly Action[])[];
  /** Reads the state of these tags, and of all tags that the mirror owns. */
  observe(tags: readonly string[], options?: Cancellable): Promise<Observed["tags"]>;
  publisher(): Publisher;
};

/** Failed tags with their failures. */
export type TagFailures = ReadonlyMap<string, Failure>;

/** A change whose bytes are at the target. */
export type Copied = { readonly change: Change; readonly moved: CopySummary; readonly parts: KnownParts };

export type PublishOptions = Cancellable & {
  /** Called for each tag immediately before an import publishes it. If it throws, the tag fails. */
  readonly confirm?: ((change: Change) => Promise<void>) | undefined;
};

/** Makes the tags of one mirror point at the copied images. */
export type Publisher = {
  /** True when the cluster publishes by an import; false when pushing the tag publishes it. */
  readonly imports: boolean;
  /** Claims the tags before any byte is copied. Tags of another owner are not changed. */
  claim(changes: readonly Change[], options?: Cancellable): Promise<TagFailures>;
  /**
   * Where to copy the bytes; undefined when nothing is copied. Unless `imports` is true, the copy of a Change also writes
   * the tag and so publishes it.
   */
  copyTarget(options?: Cancellable): Promise<ImageTarget | undefined>;
  /**
   * Runs after the copies: imports what has to be imported, checks that each tag has the planned digest, and records
   * it.
   */
  publish(copied: readonly Copied[], options?: PublishOptions): Promise<TagFailures>;
  /** Removes tags that no longer exist at the source. */
  remove(
    prunes: readonly Extract<Action, { readonly kind: "prune" }>[],
    options?: Cancellable,
  ): Promise<TagFailures>;
  /** Records since when tags are missing at the source, or that they are back. */
  remember(
    notes: readonly Extract<Action, { readonly kind: "remember" }>[],
    options?: Cancellable,
  ): Promise<void>;
  /** Adds what a failed copy means at this kind of target, where the registry's answer alone is not clear. */
  explain(failure: Failure): Failure;
  /** Shows failures to people who look at the target. Never throws. */
  notice(
    failed: readonly { readonly tag: string; readonly failure: Failure }[],
    options?: Cancellable,
  ): Promise<void>;
};
