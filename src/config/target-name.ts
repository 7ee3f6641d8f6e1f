import type { Target } from "./config.ts";

/** The target as the configuration writes it, without the tag. */
export function targetName(target: Target): string {
  switch (target.kind) {
    case "imagestream":
      return `${target.namespace}/${target.name}`;
    case "registry":
      return `${target.registry}/${target.repository}`;
    case "layout":
      return `oci:${target.directory}`;
  }
}
