import type { Mirror } from "../config/config.ts";
import { type Failure, failureOf, TagferryError } from "../errors/error.ts";
import type { Cancellable } from "../lib/cancel.ts";
import type { Location } from "../oci/reference.ts";
import type { ImageTarget } from "../oci/store.ts";
import type { Action, Change } from "../plan/action.ts";
import type { Copied } from "./apply.ts";
import type { Context } from "./context.ts";
import { streamPublisher } from "./publish-stream.ts";

/** Tags that failed, each with its failure. */
export type Failures = ReadonlyMap<string, Failure>;

/** How the tags of one mirror come to point at what was copied. */
export type Publisher = {
  /** Whether publishing is an import by the cluster rather than a push of the tag. */
  readonly imports: boolean;
  /** Makes the tags ours, before the first byte moves. A second owner's tags are not touched. */
  claim(changes: readonly Change[], options?: Cancellable): Promise<Failures>;
  /** Where bytes go; undefined where none move. Copying with the tag is publishing, unless `imports`. */
  copyTarget(options?: Cancellable): Promise<ImageTarget | undefined>;
  /** After the copies: imports what has to be imported, proves that each tag is what was planned, and notes it. */
  publish(copied: readonly Copied[], options?: Cancellable): Promise<Failures>;
  /** Removes tags that are gone at the source. */
  remove(
    prunes: readonly Extract<Action, { readonly kind: "prune" }>[],
    options?: Cancellable,
  ): Promise<Failures>;
  /** Notes since when tags are missing at the source (or that they are back). */
  remember(
    notes: readonly Extract<Action, { readonly kind: "remember" }>[],
    options?: Cancellable,
  ): Promise<void>;
  /** Tells people who look at the target what failed. Never fails itself. */
  notice(
    failed: readonly { readonly tag: string; readonly failure: Failure }[],
    options?: Cancellable,
  ): Promise<void>;
};

export function openPublisher(mirror: Mirror, context: Context): Publisher {
  const { target } = mirror;
  return target.kind === "imagestream"
    ? streamPublisher(mirror, target, context)
    : placePublisher(target, context);
}

const NONE: Failures = new Map();

/** Registries and layouts: the push of the tag is all there is, and nothing is owned. */
function placePublisher(place: Location, context: Context): Publisher {
  return {
    imports: false,
    claim: async () => NONE,
    copyTarget: () => context.target(place),
    publish: async () => NONE,
    remove: async (prunes) =>
      new Map(
        prunes.map(({ tag }) => [
          tag,
          failureOf(
            new TagferryError(
              "CONFIG_PRUNE",
              `${tag} is not pruned: nothing is owned at a registry or a layout`,
            ),
          ),
        ]),
      ),
    remember: async () => {},
    notice: async () => {},
  };
}
