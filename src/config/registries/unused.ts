import type { Repository } from "../../oci/reference.ts";
import type { ClusterSettings, Mirror, RegistrySettings } from "../config.ts";
import type { Problem } from "../file/problems.ts";
import type { YamlFile } from "../file/yaml.ts";
import type { LocatedRegistry } from "./registries.ts";

/** Warns of registries that no mirror uses: mostly a spelling mistake, and their settings have no effect. */
export function unusedRegistries(
  registries: readonly LocatedRegistry[],
  mirrors: readonly Mirror[],
  cluster: ClusterSettings,
  yaml: YamlFile,
): readonly Problem[] {
  if (mirrors.length === 0) return []; // a file for commands that take registries as arguments
  const used = mirrors.flatMap(repositoriesOf);
  const needsIntegrated = mirrors.some(
    ({ target, storage }) => target.kind === "imagestream" && storage.kind === "integrated",
  );
  return registries
    .filter(({ settings }) => !used.some((repository) => appliesTo(settings, repository)))
    .filter(({ settings }) => !(needsIntegrated && mayBeIntegrated(settings, cluster)))
    .map(({ key }) =>
      yaml.problem(["registries", key], "CONFIG_UNUSED", `no mirror uses the registry ${key}`, {
        key: true,
        found: key,
        ...(needsIntegrated && cluster.registry === undefined
          ? { next: "Check the spelling. If it is the integrated registry, name it in clusters.*.registry." }
          : {}),
      }),
    );
}

function repositoriesOf({ source, target, storage }: Mirror): readonly Repository[] {
  return [source, target, storage].flatMap((place) =>
    place.kind === "registry" || place.kind === "repository" ? [place] : [],
  );
}

function appliesTo({ registry, pathPrefix }: RegistrySettings, repository: Repository): boolean {
  return (
    registry === repository.registry &&
    (pathPrefix === undefined || `${repository.repository}/`.startsWith(`${pathPrefix}/`))
  );
}

/** The names that OpenShift gives to the integrated registry, inside the cluster and as its default route. */
const INTEGRATED = /(?:^|[.-])openshift-image-registry\./;

function mayBeIntegrated({ kind, registry }: RegistrySettings, cluster: ClusterSettings): boolean {
  return cluster.registry === undefined
    ? kind === "openshift" || INTEGRATED.test(registry)
    : registry === cluster.registry;
}
