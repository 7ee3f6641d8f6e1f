import { targetName } from "../../config/target-name.ts";
import { failureOf, TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import { formatLocation, type Location } from "../../oci/reference.ts";
import type { Action, Observed, ObservedTag } from "../../plan/action.ts";
import type { Context } from "../context.ts";
import type { MirrorTarget, Publisher, TagFailures } from "./target.ts";

/** A repository of a registry, or a layout, as target. Pushing the tag publishes it, and there is no ownership. */
export function storeTarget(location: Location, context: Context): MirrorTarget {
  return {
    name: targetName(location),
    ...(location.kind === "registry" ? { pullFrom: formatLocation(location) } : {}),
    jobsOf,
    observe: (tags, options) => observe(location, tags, context, options),
    publisher: () => storePublisher(location, context),
  };
}

/** One job for each tag to copy. Actions that only change records share one job. */
function jobsOf(actions: readonly Action[]): readonly (readonly Action[])[] {
  const { alone = [], together = [] } = Object.groupBy(actions, ({ kind }) =>
    kind === "create" || kind === "update" || kind === "push" ? "alone" : "together",
  );
  return [...alone.map((action) => [action]), ...(together.length > 0 ? [together] : [])];
}

/** At most one HEAD per tag. */
async function observe(
  location: Location,
  tags: readonly string[],
  context: Context,
  options: Cancellable = {},
): Promise<Observed["tags"]> {
  const target = await context.target(location);
  const images = await target.resolveTags(tags, options);
  return Object.fromEntries(
    tags.map((tag): [string, ObservedTag] => {
      const image = images.get(tag);
      return [tag, image ? { digest: image.digest, inPlace: true, owner: { kind: "us" } } : FREE];
    }),
  );
}

const FREE: ObservedTag = { inPlace: false, owner: { kind: "free" } };
const NONE: TagFailures = new Map();

function storePublisher(location: Location, context: Context): Publisher {
  return {
    imports: false,
    claim: async () => NONE,
    copyTarget: () => context.target(location),
    publish: async () => NONE,
    remove: async (prunes) => new Map(prunes.map(({ tag }) => [tag, failureOf(notPruned(tag))])),
    remember: async () => {},
    explain: (failure) => failure,
    notice: async () => {},
  };
}

function notPruned(tag: string): TagferryError {
  return new TagferryError(
    "CONFIG_PRUNE",
    `${tag} is not pruned: Tagferry owns no tags at registries and layouts`,
  );
}
