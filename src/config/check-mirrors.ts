import { formatLocation, sameRepository } from "../oci/reference.ts";
import type { Problem } from "./file/problems.ts";
import type { YamlFile } from "./file/yaml.ts";
import type { Located } from "./mirrors.ts";
import { targetName } from "./target-name.ts";

/** Finds problems between mirrors: names, targets and sources compared with each other. */
export function checkMirrors(located: readonly Located[], yaml: YamlFile): readonly Problem[] {
  return [
    ...checkNames(located, yaml),
    ...located.flatMap((one) => checkSelf(one, yaml)),
    ...checkOverlap(located, yaml),
  ];
}

function checkNames(located: readonly Located[], yaml: YamlFile): Problem[] {
  const problems: Problem[] = [];
  const seen = new Map<string, number>();
  for (const { mirror, position } of located) {
    const before = seen.get(mirror.name);
    if (before === undefined) seen.set(mirror.name, position);
    else
      problems.push(
        yaml.problem(
          ["mirrors", position],
          "CONFIG_OVERLAP",
          `two mirrors have the name ${mirror.name}, the first on line ${yaml.placeOf(["mirrors", before]).line}`,
          {
            found: mirror.name,
            next: "Set `name` of one of them.",
          },
        ),
      );
  }
  return problems;
}

function checkSelf({ mirror, position }: Located, yaml: YamlFile): Problem[] {
  const { source, target, storage } = mirror;
  const self = (key: string, found: string): Problem =>
    yaml.problem(
      ["mirrors", position, key],
      "CONFIG_SELF",
      `the source and the target of mirror ${mirror.name} are the same`,
      { found },
    );
  if (formatLocation(source) === targetName(target)) return [self("target", formatLocation(source))];
  if (storage.kind === "repository" && source.kind === "registry" && sameRepository(source, storage))
    return [self("storage", formatLocation(source))];
  return [];
}

/** One writer per tag. Only exact names are compared here, because patterns are resolved when a mirror is planned. */
function checkOverlap(located: readonly Located[], yaml: YamlFile): Problem[] {
  const problems: Problem[] = [];
  const writers = new Map<string, Located>();
  for (const one of located) {
    const { mirror, position } = one;
    if (mirror.tags.kind !== "exact") continue;
    for (const tag of mirror.tags.tags) {
      const place = `${targetName(mirror.target)}:${tag}`;
      const other = writers.get(place);
      if (other === undefined) writers.set(place, one);
      else if (other !== one)
        problems.push(
          yaml.problem(
            ["mirrors", position],
            "CONFIG_OVERLAP",
            `${place} is written by two mirrors: ${mirror.name} here, and ${other.mirror.name} on line ${yaml.placeOf(["mirrors", other.position]).line}`,
            { found: place },
          ),
        );
    }
  }
  return problems;
}
