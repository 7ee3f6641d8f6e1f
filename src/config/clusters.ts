import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { isTagferryError } from "../errors/error.ts";
import { parseRegistry } from "../oci/reference.ts";
import type { ClusterSettings, Target } from "./config.ts";
import type { Problem } from "./file/problems.ts";
import type { FileShape } from "./file/schema.ts";
import type { Path, YamlFile } from "./file/yaml.ts";

/** Reads `clusters`. Only one cluster is possible. A kubeconfig that does not exist is a warning: it may come later. */
export function readClusters(
  clusters: NonNullable<FileShape["clusters"]>,
  yaml: YamlFile,
  directory: string,
): {
  readonly settings: ClusterSettings;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
} {
  const [first, second] = Object.entries(clusters);
  if (second)
    return {
      settings: {},
      problems: [
        yaml.problem(
          ["clusters", second[0]],
          "CONFIG_TYPE",
          "this is a second cluster, and only one is possible",
          {
            key: true,
            found: Object.keys(clusters).join(", "),
            allowed: "one cluster",
            next: "Keep one of them. For another cluster, run another Tagferry with its own file.",
          },
        ),
      ],
      warnings: [],
    };
  if (!first) return { settings: {}, problems: [], warnings: [] };
  const [name, { kubeconfigFile, context, registry, owner }] = first;
  const problems: Problem[] = [];
  const host =
    registry === undefined ? undefined : readHost(registry, ["clusters", name, "registry"], yaml, problems);
  return {
    settings: {
      ...(kubeconfigFile === undefined ? {} : { kubeconfigFile: resolve(directory, kubeconfigFile) }),
      ...(context === undefined ? {} : { context }),
      ...(host === undefined ? {} : { registry: host }),
      ...(owner === undefined ? {} : { owner }),
    },
    problems,
    warnings: kubeconfigFile === undefined ? [] : missingKubeconfig(kubeconfigFile, name, yaml, directory),
  };
}

function missingKubeconfig(path: string, name: string, yaml: YamlFile, directory: string): Problem[] {
  if (existsSync(resolve(directory, path))) return [];
  const at = ["clusters", name, "kubeconfigFile"];
  return [yaml.problem(at, "CONFIG_KUBECONFIG", `the kubeconfig ${path} does not exist`, { found: path })];
}

function readHost(text: string, path: Path, yaml: YamlFile, problems: Problem[]): string | undefined {
  try {
    return parseRegistry(text);
  } catch (error) {
    if (!isTagferryError(error)) throw error;
    const { found, allowed } = error.details;
    problems.push(yaml.problem(path, error.code, error.message, { found, allowed }));
    return undefined;
  }
}

/** Whether a mirror with this target needs a cluster. */
export function needsCluster(target: Target): boolean {
  return target.kind === "imagestream";
}
