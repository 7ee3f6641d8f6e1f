import type { Mirror } from "../../config/config.ts";
import type { Context } from "../context.ts";
import { streamTarget } from "./image-stream.ts";
import { storeTarget } from "./store.ts";
import type { MirrorTarget } from "./target.ts";

/** Opens the target of a mirror. Only this function asks which kind of target it is. */
export function openTarget(mirror: Mirror, context: Context): MirrorTarget {
  const { target } = mirror;
  switch (target.kind) {
    case "imagestream":
      return streamTarget(mirror, { namespace: target.namespace, name: target.name }, context);
    case "registry":
    case "layout":
      return storeTarget(target, context);
  }
}
