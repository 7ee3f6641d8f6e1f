import type { Mirror, Storage } from "../../config/config.ts";
import { targetName } from "../../config/target-name.ts";
import { formatRepository } from "../../oci/reference.ts";
import { formatStream, type StreamName } from "../../openshift/image-stream.ts";
import type { Action } from "../../plan/action.ts";
import type { Context } from "../context.ts";
import { observedInStream } from "./stream-observed.ts";
import { streamPublisher } from "./stream-publisher.ts";
import type { MirrorTarget } from "./target.ts";

/** The address that pods of the cluster use, unless the configuration names another. */
const INTEGRATED_REGISTRY = "image-registry.openshift-image-registry.svc:5000";

/** An image stream as target. Reading it costs one request, for any number of tags. */
export function streamTarget(mirror: Mirror, stream: StreamName, context: Context): MirrorTarget {
  const { storage } = mirror;
  return {
    name: targetName({ kind: "imagestream", ...stream }),
    stream,
    pullFrom: `${context.config.cluster.registry ?? INTEGRATED_REGISTRY}/${formatStream(stream)}`,
    storage: storageName(storage),
    jobsOf: (actions) => jobsOf(actions, storage),
    async observe(tags, options) {
      const streams = await context.streams(options);
      const found = await streams.get(stream, options);
      return found ? observedInStream(found, mirror, tags, streams.installation) : {};
    },
    publisher: () => streamPublisher(mirror, stream, context),
  };
}

function storageName(storage: Storage): string {
  return storage.kind === "repository" ? formatRepository(storage) : storage.kind;
}

/** One job for each tag with bytes to copy. Tags that share one request to the cluster share one job. */
function jobsOf(actions: readonly Action[], storage: Storage): readonly (readonly Action[])[] {
  const { alone = [], together = [] } = Object.groupBy(actions, ({ kind }) =>
    (kind === "create" || kind === "update" || kind === "push") && storage.kind !== "source"
      ? "alone"
      : "together",
  );
  return [...alone.map((action) => [action]), ...(together.length > 0 ? [together] : [])];
}
