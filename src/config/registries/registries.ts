import { isTagferryError } from "../../errors/error.ts";
import { DOCKER_HUB, isRepositoryName, parseRegistry } from "../../oci/reference.ts";
import type { RegistrySettings, TimeoutSettings } from "../config.ts";
import { parseDuration } from "../duration.ts";
import type { Problem } from "../file/problems.ts";
import type { RegistryShape } from "../file/schema.ts";
import type { Path, YamlFile } from "../file/yaml.ts";
import { readCa, readClientCertificate } from "./certificates.ts";
import { readCredentials } from "./login.ts";
import type { RegistryReport, ReportProblem } from "./report.ts";

const DEFAULT_CONNECTIONS = 16;
const TIMEOUT_MAX_MS = 3_600_000;

/** The settings of a registry, and the key that the file has for it. */
export type LocatedRegistry = { readonly key: string; readonly settings: RegistrySettings };

/** Reads `registries`, and the files that it names. Longest prefix first. */
export function readRegistries(
  registries: Readonly<Record<string, RegistryShape>>,
  context: { readonly yaml: YamlFile; readonly raw: unknown; readonly directory: string },
): {
  readonly registries: readonly LocatedRegistry[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
} {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const found: LocatedRegistry[] = [];
  const seen = new Map<string, string>();
  for (const [key, shape] of Object.entries(registries)) {
    const path: Path = ["registries", key];
    const reporter =
      (list: Problem[]): ReportProblem =>
      (at, code, message, facts) => {
        list.push(context.yaml.problem([...path, ...at], code, message, facts));
        return undefined;
      };
    const report: RegistryReport = {
      ...context,
      problem: reporter(problems),
      warning: reporter(warnings),
      original: (at) => originalAt(context.raw, [...path, ...at]),
    };
    const place = readKey(key, report);
    if (!place) continue;
    const name = `${place.registry}/${place.pathPrefix ?? ""}`;
    const other = seen.get(name);
    if (other !== undefined) {
      report.problem([], "CONFIG_ALIAS_CONFLICT", `"${key}" and "${other}" are the same registry`, {
        key: true,
        found: key,
      });
      continue;
    }
    seen.set(name, key);
    found.push({ key, settings: { ...place, ...readSettings(shape, place.registry, report) } });
  }
  found.sort((one, other) => lengthOf(other.settings) - lengthOf(one.settings));
  return { registries: found, problems, warnings };
}

const lengthOf = ({ pathPrefix }: RegistrySettings): number => pathPrefix?.length ?? 0;

function originalAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (node, part) =>
      typeof node === "object" && node !== null
        ? (node as Record<string | number, unknown>)[part]
        : undefined,
    raw,
  );
}

function readKey(
  key: string,
  report: RegistryReport,
): Pick<RegistrySettings, "registry" | "pathPrefix"> | undefined {
  const slash = /^[a-z]+:\/\//i.test(key) ? -1 : key.indexOf("/");
  const host = slash === -1 ? key : key.slice(0, slash);
  const prefix = slash === -1 ? undefined : key.slice(slash + 1);
  try {
    const registry = parseRegistry(host);
    if (prefix === undefined) return { registry };
    if (isRepositoryName(prefix)) return { registry, pathPrefix: prefix };
    report.problem([], "CONFIG_REGISTRY", `"${key}": "${prefix}" is not the beginning of a repository name`, {
      key: true,
      found: key,
      allowed: "host, or host/project",
    });
  } catch (error) {
    if (!isTagferryError(error)) throw error;
    const { found, allowed, next } = error.details;
    report.problem([], error.code, error.message, {
      key: true,
      found,
      allowed,
      ...(typeof next === "string" ? { next } : {}),
    });
  }
  return undefined;
}

function readSettings(
  shape: RegistryShape,
  registry: string,
  report: RegistryReport,
): Omit<RegistrySettings, "registry" | "pathPrefix"> {
  const {
    kind = "auto",
    insecure = false,
    plainHttp = false,
    connections = DEFAULT_CONNECTIONS,
    requestsPerSecond,
    timeouts,
    largeReads,
  } = shape;
  refuseLaxity(shape, registry, report);
  const ca = shape.ca === undefined ? undefined : readCa(shape.ca, report);
  const clientCertificate = readClientCertificate(shape, report);
  const credentials =
    shape.credentials === undefined ? undefined : readCredentials(shape.credentials, report);
  return {
    kind,
    insecure,
    plainHttp,
    connections,
    tokenRealms: shape.tokenRealms ?? [],
    ...(largeReads === undefined ? {} : { largeReads }),
    ...(timeouts === undefined ? {} : { timeouts: readTimeouts(timeouts, report) }),
    ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    ...(ca === undefined ? {} : { ca }),
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
    ...(credentials === undefined ? {} : { credentials }),
  };
}

function readTimeouts(
  shape: NonNullable<RegistryShape["timeouts"]>,
  { problem }: RegistryReport,
): TimeoutSettings {
  const given = Object.entries(shape).flatMap(([key, text]) => {
    const durationMs = text === undefined ? undefined : parseDuration(text);
    if (durationMs !== undefined && durationMs > 0 && durationMs <= TIMEOUT_MAX_MS)
      return [[`${key}Ms`, durationMs] as const];
    problem(["timeouts", key], "CONFIG_TYPE", `timeouts.${key} is no such duration`, {
      found: text,
      allowed: "a duration such as 30s or 2m, at most 1h",
    });
    return [];
  });
  return Object.fromEntries(given);
}

function refuseLaxity(
  { insecure, plainHttp, ca, clientCertificate }: RegistryShape,
  registry: string,
  { problem }: RegistryReport,
): void {
  const lax = insecure === true ? "insecure" : plainHttp === true ? "plainHttp" : undefined;
  if (lax === undefined) return;
  if (insecure === true && plainHttp === true)
    problem(["insecure"], "CONFIG_INSECURE", "insecure and plainHttp exclude each other", {
      key: true,
      allowed: "one of them",
    });
  if (ca !== undefined)
    problem([lax], "CONFIG_INSECURE", `with ${lax}, the ca has no effect`, {
      key: true,
      allowed: `ca or ${lax}`,
    });
  if (clientCertificate !== undefined && lax === "plainHttp")
    problem([lax], "CONFIG_INSECURE", "with plainHttp, the clientCertificate has no effect", {
      key: true,
      allowed: "one of them",
    });
  if (registry === DOCKER_HUB)
    problem([lax], "CONFIG_INSECURE", `${lax} is not allowed for Docker Hub`, {
      key: true,
      allowed: "neither insecure nor plainHttp",
      next: `Remove ${lax}: Docker Hub has a certificate that every system trusts. For a mirror of it, write the mirror's host.`,
    });
}
