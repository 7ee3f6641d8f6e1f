import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import type { ErrorCode } from "../errors/codes.ts";
import { isTagferryError } from "../errors/error.ts";
import { DOCKER_HUB, isRepositoryName, parseRegistry } from "../oci/reference.ts";
import type { CredentialSettings, RegistrySettings, SecretSource, TimeoutSettings } from "./config.ts";
import { parseDuration } from "./duration.ts";
import { isVariable } from "./file/environment.ts";
import type { Problem } from "./file/problems.ts";
import type { RegistryShape } from "./file/schema.ts";
import type { Path, ProblemFacts, YamlFile } from "./file/yaml.ts";

const DEFAULT_CONNECTIONS = 16;
const TIMEOUT_MAX_MS = 3_600_000;

/** Reads `registries`, and the files that it names. Longest prefix first. */
export function readRegistries(
  registries: Readonly<Record<string, RegistryShape>>,
  context: { readonly yaml: YamlFile; readonly raw: unknown; readonly directory: string },
): {
  readonly settings: readonly RegistrySettings[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
} {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const settings: RegistrySettings[] = [];
  const seen = new Map<string, string>();
  for (const [key, shape] of Object.entries(registries)) {
    const path: Path = ["registries", key];
    const reporter =
      (list: Problem[]): ReportProblem =>
      (at, code, message, facts) => {
        list.push(context.yaml.problem([...path, ...at], code, message, facts));
        return undefined;
      };
    const report: Report = {
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
    settings.push({ ...place, ...readSettings(shape, place.registry, report) });
  }
  settings.sort((one, other) => (other.pathPrefix?.length ?? 0) - (one.pathPrefix?.length ?? 0));
  return { settings, problems, warnings };
}

type ReportProblem = (at: Path, code: ErrorCode, message: string, facts?: ProblemFacts) => undefined;

type Report = {
  readonly yaml: YamlFile;
  readonly directory: string;
  readonly problem: ReportProblem;
  readonly warning: ReportProblem;
  /** The text in the file, before variables are replaced. */
  readonly original: (at: Path) => unknown;
};

function originalAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (node, part) =>
      typeof node === "object" && node !== null
        ? (node as Record<string | number, unknown>)[part]
        : undefined,
    raw,
  );
}

function readKey(key: string, report: Report): Pick<RegistrySettings, "registry" | "pathPrefix"> | undefined {
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
    const { found, allowed } = error.details;
    report.problem([], error.code, error.message, { key: true, found, allowed });
  }
  return undefined;
}

function readSettings(
  shape: RegistryShape,
  registry: string,
  report: Report,
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

function readTimeouts(shape: NonNullable<RegistryShape["timeouts"]>, { problem }: Report): TimeoutSettings {
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
  { problem }: Report,
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
      allowed: "nothing",
    });
}

function readFile(
  path: string,
  directory: string,
): { readonly kind: "text"; readonly text: string } | { readonly kind: "failed"; readonly why: string } {
  try {
    return { kind: "text", text: readFileSync(resolve(directory, path), "utf8") };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      kind: "failed",
      why:
        code === "ENOENT"
          ? "does not exist"
          : code === "EISDIR"
            ? "is a directory"
            : `cannot be read (${code})`,
    };
  }
}

function readCa(path: string, { directory, problem }: Report): string | undefined {
  const file = readFile(path, directory);
  const fail = (why: string): undefined =>
    problem(["ca"], "CONFIG_CA", `the CA file ${path} ${why}`, { found: path });
  if (file.kind === "failed") return fail(file.why);
  const certificates = file.text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g);
  if (!certificates) return fail(file.text.includes("-----BEGIN") ? "holds no certificate" : "is not PEM");
  for (const pem of certificates) {
    try {
      const { validTo } = new X509Certificate(pem);
      if (Date.parse(validTo) < Date.now()) return fail(`contains a certificate that expired on ${validTo}`);
    } catch {
      return fail("contains a certificate that cannot be read");
    }
  }
  return file.text;
}

function readClientCertificate(
  shape: RegistryShape,
  { directory, problem }: Report,
): RegistrySettings["clientCertificate"] {
  const { clientCertificate, clientKey } = shape;
  if (clientCertificate === undefined && clientKey === undefined) return undefined;
  const fail = (at: string, why: string): undefined => problem([at], "CONFIG_CLIENT_CERTIFICATE", why);
  if (clientCertificate === undefined) return fail("clientKey", "clientKey is set without clientCertificate");
  if (clientKey === undefined) return fail("clientCertificate", "clientCertificate is set without clientKey");
  const certificate = readFile(clientCertificate, directory);
  if (certificate.kind === "failed")
    return fail("clientCertificate", `the file ${clientCertificate} ${certificate.why}`);
  const key = readFile(clientKey, directory);
  if (key.kind === "failed") return fail("clientKey", `the file ${clientKey} ${key.why}`);
  if (/ENCRYPTED/.test(key.text)) return fail("clientKey", `the key in ${clientKey} is encrypted`);
  try {
    const matches = new X509Certificate(certificate.text).checkPrivateKey(createPrivateKey(key.text));
    if (!matches)
      return fail(
        "clientKey",
        `the key in ${clientKey} does not belong to the certificate in ${clientCertificate}`,
      );
  } catch {
    return fail(
      "clientCertificate",
      `${clientCertificate} and ${clientKey} are not a PEM certificate and a PEM key`,
    );
  }
  return { certificate: certificate.text, key: key.text };
}

function readCredentials(
  shape: NonNullable<RegistryShape["credentials"]>,
  report: Report,
): CredentialSettings | undefined {
  const { anonymous, tokenFile, username, usernameFile, password, passwordFile } = shape;
  const given = Object.keys(shape);
  const at: Path = ["credentials"];
  const fail = (message: string, allowed: string): undefined =>
    report.problem(at, "CONFIG_TYPE", message, { found: given.join(", "), allowed });
  const forms =
    "usernameFile (or username) and passwordFile (or password), or tokenFile alone, or anonymous: true alone";
  if (anonymous === true)
    return given.length === 1 ? { kind: "anonymous" } : fail("both anonymous and credentials", forms);
  if (tokenFile !== undefined)
    return given.length === 1
      ? { kind: "token", token: secretFile(tokenFile, "tokenFile", report) }
      : fail("both tokenFile and other credentials", forms);
  if (username !== undefined && usernameFile !== undefined)
    return fail("both username and usernameFile", forms);
  if (password !== undefined && passwordFile !== undefined)
    return fail("both password and passwordFile", forms);
  const user =
    usernameFile !== undefined
      ? secretFile(usernameFile, "usernameFile", report)
      : username !== undefined
        ? ({ kind: "text", text: username } as const)
        : undefined;
  const secret =
    passwordFile !== undefined
      ? secretFile(passwordFile, "passwordFile", report)
      : password !== undefined
        ? inlineSecret(report)
        : undefined;
  if (!user || !secret) return fail("the credentials are not complete", forms);
  return { kind: "basic", username: user, password: secret };
}

/** A secret in the file must be `${NAME}`. It is read from the environment when it is used. */
function inlineSecret(report: Report): SecretSource | undefined {
  const original = report.original(["credentials", "password"]);
  if (typeof original === "string" && isVariable(original))
    return { kind: "environment", variable: original.slice(2, -1) };
  report.problem(
    ["credentials", "password"],
    "CONFIG_INLINE_SECRET",
    "the configuration file contains a password",
    {
      key: true,
      allowed: "passwordFile, or password: ${NAME}",
    },
  );
  return { kind: "text", text: "" };
}

/** The file must exist and must not be empty. It is read again when it is used. */
function secretFile(path: string, key: string, report: Report): SecretSource {
  const file = readFile(path, report.directory);
  const at: Path = ["credentials", key];
  if (file.kind === "failed")
    report.problem(at, "CONFIG_SECRET", `the file ${path} ${file.why}`, { found: path });
  else if (file.text.trim() === "")
    report.problem(at, "CONFIG_SECRET", `the file ${path} is empty`, { found: path });
  else if (/\r/.test(file.text))
    report.warning(at, "CONFIG_SECRET", `the file ${path} has Windows line ends; they are removed`, {
      found: path,
      next: "Write it with printf '%s', without a line end.",
    });
  return { kind: "file", path: resolve(report.directory, path) };
}
