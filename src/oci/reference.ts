import { isIPv6 } from "node:net";

import { TagferryError } from "../errors/error.ts";
import { type Digest, isDigest } from "./digest.ts";

/** One repository of a registry. `registry` is the normalised host[:port]: `docker.io` for Docker Hub. */
export type Repository = { readonly registry: string; readonly repository: string };

/** An image in a repository, by tag or digest. With both, the digest is used and verified. */
export type Reference = Repository & { readonly tag?: string; readonly digest?: Digest };

/** Where images can be read or written: a repository, or an OCI image layout in a directory. */
export type Location =
  | ({ readonly kind: "registry" } & Repository)
  | { readonly kind: "layout"; readonly directory: string };

export const DOCKER_HUB = "docker.io";
const DOCKER_HUB_ALIASES = new Set([
  "docker.io",
  "index.docker.io",
  "registry-1.docker.io",
  "registry.hub.docker.com",
]);

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests */
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
/** A host name has at most 253 characters, a port six with its colon. */
const HOST_MAX_LENGTH = 259;
const HOST =
  /^(?:\[([0-9a-fA-F:.]+)\]|[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*)(?::(\d{1,5}))?$/;

export function isTag(text: string): boolean {
  return TAG.test(text);
}

export function isRepositoryName(text: string): boolean {
  return text.length <= 255 && REPOSITORY.test(text);
}

/** @throws {TagferryError} CONFIG_TAG */
export function parseTag(text: string): string {
  if (isTag(text)) return text;
  throw new TagferryError("CONFIG_TAG", `"${text}" is not a tag`, {
    found: text,
    allowed: "letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`, at most 128",
    ...(isTag(text.slice(1)) ? { next: `Write it without the first character: ${text.slice(1)}.` } : {}),
  });
}

/**
 * Normalises `host[:port]`, so that hosts can be compared: lower case, one name for Docker Hub, without `:443`.
 *
 * @throws {TagferryError} CONFIG_REGISTRY, CONFIG_PORT
 */
export function parseRegistry(text: string): string {
  const bad = (
    why: string,
    allowed = "host or host:port, such as harbor.corp.example:8443",
    next?: string,
  ): TagferryError =>
    new TagferryError("CONFIG_REGISTRY", `"${masked(text)}" is not a registry: ${why}`, {
      found: masked(text),
      allowed,
      ...(next === undefined ? {} : { next }),
    });
  const [scheme] = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text) ?? [];
  if (scheme !== undefined)
    throw bad(
      "it has a scheme",
      undefined,
      scheme === "http://"
        ? "Write it without `http://`, and set `plainHttp: true` under `registries` for this host."
        : `Write it without \`${scheme}\`.`,
    );
  if (text.includes("@")) throw bad("it has a user");
  if (/[?#]/.test(text)) throw bad("it has a query");
  if (/[/\\]/.test(text)) throw bad("it has a path");
  if (text.length > HOST_MAX_LENGTH) throw bad("it is too long", `at most ${HOST_MAX_LENGTH} characters`);
  // oxlint-disable-next-line no-control-regex -- anything beyond ASCII
  if (/[^\u0000-\u007f]/.test(text)) {
    const ascii = URL.parse(`http://${text}`)?.host;
    throw bad("it is not ASCII", ascii ? `its ASCII form: ${ascii}` : undefined);
  }
  if (!text.startsWith("[") && text.split(":").length > 2)
    throw bad("an IPv6 address needs brackets", `[${text}]`);
  const colon = text.indexOf(":", text.lastIndexOf("]") + 1);
  if (colon !== -1 && (text.endsWith(":") || /[^\d.:]/.test(text.slice(colon))))
    throw new TagferryError("CONFIG_PORT", `"${text}" has no port after its colon`, {
      found: text,
      allowed: "1 to 65535",
      next: "Write the number of the port, or leave the colon out.",
    });
  const match = HOST.exec(text);
  if (!match) throw bad("this is not a host name");
  const [, address, port] = match;
  if (address !== undefined && !isIPv6(address)) throw bad("this is not an IPv6 address");
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))
    throw new TagferryError("CONFIG_PORT", `"${text}": port ${port} does not exist`, {
      found: port,
      allowed: "1 to 65535",
    });
  const host = text.toLowerCase().replace(/:443$/, "");
  return DOCKER_HUB_ALIASES.has(host) ? DOCKER_HUB : host;
}

const ALGORITHM = /^(?:sha\d+|md5|blake\d+):/i;

/** Text for a message, without a user and password in front of the host. */
function masked(text: string): string {
  const at = text.lastIndexOf("@");
  if (at === -1 || ALGORITHM.test(text.slice(at + 1))) return text;
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? "";
  return `${scheme}***${text.slice(at)}`;
}

/** Whether the first component of a name is a host. This is Docker's rule. */
function isHost(component: string): boolean {
  return /[.:]/.test(component) || component === "localhost" || component !== component.toLowerCase();
}

/** Whether a reference begins with a registry. Without one, Docker Hub is used. */
export function hasRegistry(text: string): boolean {
  const slash = text.indexOf("/");
  return slash !== -1 && isHost(text.slice(0, slash));
}

/**
 * Reads `[registry/]repository[:tag][@digest]`. Docker Hub is the default registry and `library/` its default
 * namespace.
 *
 * @throws {TagferryError} REFERENCE_INVALID, CONFIG_REGISTRY, CONFIG_PORT, CONFIG_REPOSITORY, CONFIG_TAG,
 *   CONFIG_DIGEST
 */
export function parseReference(text: string): Reference {
  if (text.trim() !== text || text === "")
    throw new TagferryError("REFERENCE_INVALID", `"${text}" is not an image reference`, { found: text });
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) parseRegistry(text);
  const at = text.indexOf("@");
  const slash = text.indexOf("/");
  // a user in front of the host (user:password@host/…) is not a digest
  if (at !== -1 && at < slash && !ALGORITHM.test(text.slice(at + 1))) parseRegistry(text.slice(0, slash));
  const named = at === -1 ? text : text.slice(0, at);
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest))
    throw new TagferryError("CONFIG_DIGEST", `"${masked(text)}": "${digest}" is not a digest`, {
      found: digest,
      allowed: "sha256: and 64, or sha512: and 128 lower-case hexadecimal digits",
    });
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const tag = colon === -1 ? undefined : named.slice(colon + 1);
  const name = colon === -1 ? named : named.slice(0, colon);
  if (tag !== undefined) parseTag(tag);
  return {
    ...parseRepositoryName(name, text),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** @throws {TagferryError} as parseReference; also when a tag or digest is given */
export function parseRepository(text: string): Repository {
  const { tag, digest, ...repository } = parseReference(text);
  if (tag !== undefined)
    throw new TagferryError("CONFIG_REPOSITORY", `"${text}" has a tag, but a repository is expected`, {
      found: `:${tag}`,
      allowed: "registry/repository",
      next: "Write tags under `tags:`.",
    });
  if (digest !== undefined)
    throw new TagferryError("CONFIG_REPOSITORY", `"${text}" has a digest, but a repository is expected`, {
      found: `@${digest}`,
      allowed: "registry/repository",
    });
  return repository;
}

function parseRepositoryName(name: string, text: string): Repository {
  const slash = name.indexOf("/");
  const first = slash === -1 ? "" : name.slice(0, slash);
  const hosted = slash !== -1 && isHost(first);
  const registry = hosted ? parseRegistry(first) : DOCKER_HUB;
  const path = hosted ? name.slice(slash + 1) : name;
  const repository = registry === DOCKER_HUB && path !== "" && !path.includes("/") ? `library/${path}` : path;
  if (isRepositoryName(repository)) return { registry, repository };
  const lower = path.toLowerCase();
  throw new TagferryError("CONFIG_REPOSITORY", `"${text}": "${path}" is not a repository name`, {
    found: path,
    ...(isRepositoryName(lower)
      ? { allowed: `lower case: ${lower}`, next: `Write it in lower case: ${lower}.` }
      : {
          allowed: "lower-case letters and digits with `.`, `_`, `__`, `-` or `/` between them, at most 255",
        }),
  });
}

export function formatRepository({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}

export function formatReference({ tag, digest, ...repository }: Reference): string {
  return `${formatRepository(repository)}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** `oci:DIR` or `registry/repository`, as the command line and the configuration write it. */
export function formatLocation(place: Location): string {
  return place.kind === "layout" ? `oci:${place.directory}` : formatRepository(place);
}

export function sameRepository(one: Repository, other: Repository): boolean {
  return one.registry === other.registry && one.repository === other.repository;
}
