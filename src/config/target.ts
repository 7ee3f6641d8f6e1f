import { isAbsolute, resolve } from "node:path";

import { TagferryError } from "../errors/error.ts";
import { hasRegistry, type Location, parseRepository } from "../oci/reference.ts";
import type { Storage, Target } from "./config.ts";
import { closest } from "./file/closest.ts";
import type { MirrorShape } from "./file/schema.ts";
import type { MirrorReader } from "./mirror-reader.ts";

export function readLocation(text: string, { directory }: MirrorReader): Location {
  if (text.startsWith("oci:")) {
    const path = text.slice("oci:".length);
    return { kind: "layout", directory: isAbsolute(path) ? path : resolve(directory, path) };
  }
  if (/^(?:[a-z\d-]+\.)+[a-z]{2,}$/.test(text))
    throw new TagferryError("CONFIG_REPOSITORY", `"${text}" names a registry and no repository`, {
      found: text,
      allowed: "registry/repository",
      next: `Write the repository too: ${text}/REPOSITORY. For Docker Hub: docker.io/library/${text}.`,
    });
  return { kind: "registry", ...parseRepository(text) };
}

const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Only single separators. Docker also allows a__b, a--b and slashes, but they are not valid in a stream's name. */
const STREAM = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/;

/**
 * Where images are written, the registry must be named: otherwise private images could go to Docker Hub by mistake.
 *
 * @throws {TagferryError} CONFIG_REGISTRY
 */
export function requireRegistry(text: string, { stream }: { readonly stream: boolean }): void {
  if (hasRegistry(text)) return;
  const streamName = `imagestream:${text.includes("/") ? text : `NAMESPACE/${text}`}`;
  const hub = `docker.io/${text}`;
  throw new TagferryError(
    "CONFIG_REGISTRY",
    `"${text}" does not name a registry, so images would be written to Docker Hub`,
    {
      found: text,
      allowed: stream ? `${streamName} or ${hub}` : `registry.example.com/${text} or ${hub}`,
      next: stream
        ? `Write \`${streamName}\` for an image stream, or \`${hub}\` if you mean Docker Hub.`
        : `Write the registry too, or \`${hub}\` if you mean Docker Hub.`,
    },
  );
}

export function readTarget(text: string, reader: MirrorReader): Target | undefined {
  const [, scheme = ""] = /^([\w-]+):(?=[a-z])/i.exec(text) ?? [];
  const meant = closest(scheme, ["imagestream"]);
  if (meant !== undefined && meant !== scheme)
    return reader.fail(["target"], "CONFIG_KUBERNETES_NAME", `"${scheme}:" is not a kind of target`, {
      found: text,
      allowed: "imagestream:NAMESPACE/NAME, registry/repository, or oci:DIR",
      next: `Did you mean "${meant}:${text.slice(scheme.length + 1)}"?`,
    });
  if (!text.startsWith("imagestream:"))
    return reader.attempt(["target"], () => {
      const location = readLocation(text, reader);
      if (location.kind === "registry") requireRegistry(text, { stream: true });
      return location;
    });
  const name = text.slice("imagestream:".length);
  const fail = (why: string, next?: string): undefined =>
    reader.fail(["target"], "CONFIG_KUBERNETES_NAME", `"${text}" is not an image stream: ${why}`, {
      found: name,
      allowed: "imagestream:NAMESPACE/NAME",
      next,
    });
  const [namespace = "", stream = "", ...rest] = name.split("/");
  if (rest.length > 0 || stream === "")
    return fail(
      "it must have two parts",
      `Write the namespace too: \`imagestream:NAMESPACE/${namespace === "" ? "NAME" : namespace}\`, such as imagestream:web/nginx.`,
    );
  if (stream.includes(":") || stream.includes("@"))
    return fail("it has a tag or a digest", "Write tags under `tags:`.");
  if (namespace.includes(":")) return fail("only one cluster is possible, and it has no name here");
  if (!NAMESPACE.test(namespace))
    return fail(
      `"${namespace}" is not a namespace`,
      "Write the namespace as `oc projects` shows it: lower-case letters, digits and `-`, at most 63 characters.",
    );
  if (!STREAM.test(stream)) return fail(`"${stream}" is not a name in the integrated registry`);
  if (name.length > 255) return fail("it is longer than 255 characters");
  return { kind: "imagestream", namespace, name: stream };
}

export function readStorage(
  { storage = "integrated" }: MirrorShape,
  target: Target | undefined,
  reader: MirrorReader,
): Storage | undefined {
  if (storage === "integrated" || storage === "source") return { kind: storage };
  const repository = reader.attempt(["storage"], () => {
    const parsed = parseRepository(storage);
    requireRegistry(storage, { stream: false });
    return parsed;
  });
  return repository && target ? { kind: "repository", ...repository } : undefined;
}

/** Refuses a key that would have no effect, because it is a mistake. */
export function refuseIdleKeys(
  shape: MirrorShape,
  target: Target | undefined,
  storage: Storage | undefined,
  { fail }: MirrorReader,
): void {
  if (!target || !storage) return;
  const streamOnly = ["storage", "takeover", "referencePolicy"] as const;
  if (target.kind !== "imagestream")
    for (const key of streamOnly)
      if (shape[key] !== undefined)
        fail([key], "CONFIG_TYPE", `${key} has no effect for this target`, {
          key: true,
          found: shape.target,
          allowed: "an imagestream: target",
        });
  if (target.kind === "imagestream" && storage.kind === "integrated" && shape.referencePolicy !== undefined)
    fail(["referencePolicy"], "CONFIG_TYPE", "referencePolicy has no effect with storage: integrated", {
      key: true,
      allowed: "storage: source, or a repository",
    });
  if (target.kind === "imagestream" && storage.kind === "source") {
    if (shape.platforms !== undefined)
      fail(
        ["platforms"],
        "CONFIG_PLATFORM",
        "platforms cannot be chosen with storage: source: the cluster imports the whole index",
        { key: true, found: "storage: source", allowed: "storage: integrated" },
      );
    if (shape.source.startsWith("oci:"))
      fail(["storage"], "CONFIG_TYPE", "a cluster cannot import from a directory", {
        found: shape.source,
        allowed: "integrated, or a repository",
      });
  }
}
