import { TagferryError } from "../../errors/error.ts";
import type { Credential } from "../../oci/credential.ts";
import { DOCKER_HUB, type Repository } from "../../oci/reference.ts";
import { rereadFile } from "./secret-file.ts";

/** A docker `config.json`, a podman `auth.json`, the `.dockerconfigjson` of a pull secret, or an old `.dockercfg`. */
export type AuthFile = {
  helperFor(registry: string): Helper | undefined;
  entryFor(repository: Repository): { readonly key: string; readonly credential: Credential } | undefined;
  storeFor(registry: string): Helper | undefined;
};

type Helper = { readonly name: string; readonly server: string };
type Json = Readonly<Record<string, unknown>>;

/** The key that docker uses for Docker Hub. */
const HUB_SERVER = "https://index.docker.io/v1/";

/** Returns a function that reads the file; undefined when the file does not exist. @throws {TagferryError} AUTH_FILE */
export function openAuthFile(path: string): () => Promise<AuthFile | undefined> {
  const read = rereadFile(path);
  return async () => {
    let text: string;
    try {
      text = await read();
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") return undefined;
      throw new TagferryError("AUTH_FILE", `${path} cannot be read`, { cause, where: path, found: code });
    }
    return text.trim() === "" ? undefined : parseAuthFile(text, path);
  };
}

/** @throws {TagferryError} AUTH_FILE; the error never contains the content */
export function parseAuthFile(text: string, where: string): AuthFile {
  const json = parse(text, where);
  // the whole of an old .dockercfg is the map of entries
  const auths = isMap(json["auths"])
    ? json["auths"]
    : "auths" in json || "credHelpers" in json || "credsStore" in json
      ? {}
      : json;
  const helpers = isMap(json["credHelpers"]) ? json["credHelpers"] : {};
  const store = json["credsStore"];
  return {
    helperFor(registry) {
      const key = Object.keys(helpers).find((one) => normalise(one).host === registry);
      const name = key === undefined ? undefined : helpers[key];
      return key !== undefined && typeof name === "string" && name !== "" ? { name, server: key } : undefined;
    },
    entryFor(repository) {
      const matching = Object.keys(auths)
        .filter((key) => matches(normalise(key), repository))
        .toSorted((one, other) => normalise(other).path.length - normalise(one).path.length);
      for (const key of matching) {
        const entry = auths[key];
        const credential = isMap(entry) ? credentialOf(entry, key, where) : undefined;
        if (credential) return { key, credential };
      }
      return undefined;
    },
    storeFor(registry) {
      if (typeof store !== "string" || store === "") return undefined;
      return { name: store, server: registry === DOCKER_HUB ? HUB_SERVER : registry };
    },
  };
}

function parse(text: string, where: string): Json {
  try {
    const json: unknown = JSON.parse(text);
    if (isMap(json)) return json;
  } catch {
    // without `cause`, because a parser quotes the text at the error
  }
  throw new TagferryError("AUTH_FILE", `${where} is not a JSON authentication file`, { where });
}

function isMap(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Keys are hosts, hosts with a path (podman), or URLs (docker): `https://index.docker.io/v1/`. */
function normalise(key: string): { readonly host: string; readonly path: string } {
  const bare = withoutEnd(key.replace(/^https?:\/\//i, ""), "/");
  const [host = "", ...rest] = bare.split("/");
  const path = rest.join("/").replace(/^v[12](?:\/|$)/, "");
  const lower = host.toLowerCase().replace(/:443$/, "");
  return {
    host: ["docker.io", "index.docker.io", "registry-1.docker.io"].includes(lower) ? DOCKER_HUB : lower,
    path,
  };
}

/** As in Kubernetes, a label of the host may be a glob: `*.example.com`. */
function matches(
  { host, path }: { readonly host: string; readonly path: string },
  { registry, repository }: Repository,
): boolean {
  if (path === "access-token" || path === "refresh-token") return false; // docker keeps its own sessions here
  return sameHost(host, registry) && (path === "" || `${repository}/`.startsWith(`${path}/`));
}

function sameHost(pattern: string, host: string): boolean {
  if (!pattern.includes("*")) return pattern === host;
  const [patternName = "", patternPort] = pattern.split(":");
  const [name = "", port] = host.split(":");
  const wanted = patternName.split(".");
  const labels = name.split(".");
  return (
    patternPort === port &&
    wanted.length === labels.length &&
    wanted.every((glob, position) => fits(glob, labels[position] ?? ""))
  );
}

function fits(glob: string, label: string): boolean {
  const [first = "", ...others] = glob.split("*");
  const last = others.pop();
  if (last === undefined) return glob === label;
  if (!label.startsWith(first)) return false;
  let at = first.length;
  for (const part of others) {
    const found = label.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return label.endsWith(last) && label.length - last.length >= at;
}

function credentialOf(entry: Json, key: string, where: string): Credential | undefined {
  const { registrytoken, identitytoken, auth, username, password } = entry;
  if (typeof registrytoken === "string" && registrytoken !== "")
    return { kind: "bearer", token: registrytoken };
  if (typeof identitytoken === "string" && identitytoken !== "")
    return { kind: "identityToken", token: identitytoken };
  if (typeof auth === "string" && auth !== "") return decoded(auth, key, where);
  if (typeof username === "string" && typeof password === "string" && username !== "")
    return { kind: "basic", username, password };
  return undefined; // `{}` means that a credential store has the entry
}

/** Decodes either alphabet of Base64 and splits at the first colon. docker pads passwords with NUL bytes. */
function decoded(auth: string, key: string, where: string): Credential {
  const text = Buffer.from(auth.trim(), "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon <= 0)
    throw new TagferryError("AUTH_FILE", `the entry ${key} in ${where} is not user:password in base64`, {
      where,
      found: key,
    });
  return {
    kind: "basic",
    username: text.slice(0, colon),
    password: withoutEnd(text.slice(colon + 1), "\0"),
  };
}

/** Removes this character from the end of the text. A loop, because a regular expression would need quadratic time. */
function withoutEnd(text: string, character: string): string {
  let length = text.length;
  while (length > 0 && text[length - 1] === character) length -= 1;
  return text.slice(0, length);
}
