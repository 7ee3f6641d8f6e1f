import type { HookSender } from "../../config/config.ts";
import { TagferryError } from "../../errors/error.ts";
import { isDigest } from "../../oci/digest.ts";
import type { Json } from "../../oci/json.ts";
import { DOCKER_HUB, formatRepository, isTag, parseReference } from "../../oci/reference.ts";

/** The parts of a webhook that are used. */
export type Pushed = {
  /** `registry/repository`, normalized as everywhere else. */
  readonly repository: string;
  readonly tag?: string;
  /** ISO. */
  readonly at?: string;
};

export type Hook = {
  readonly body: Json;
  /** GitHub sends the event in a header. */
  readonly event: string | undefined;
};

const RESOURCES_MAX = 20;

/**
 * The pushes that a webhook reports; empty when the event is not a push.
 *
 * @throws {TagferryError} HOOK_BODY
 */
export function readHook(sender: HookSender, { body, event }: Hook): readonly Pushed[] {
  const root = record(body);
  if (!root || hasPrototypeKey(body))
    throw new TagferryError("HOOK_BODY", "the webhook contains a key that is not allowed");
  switch (sender) {
    case "dockerhub":
      return dockerHub(root);
    case "harbor":
      return harbor(root);
    case "quay":
      return quay(root);
    case "github":
      return github(root, event);
    case "generic":
      return [pushed({ image: text(root["repository"]), tag: root["tag"], at: isoOf(root["at"]) })];
  }
}

/** @see https://docs.docker.com/docker-hub/repos/manage/webhooks/ */
function dockerHub(root: JsonRecord): readonly Pushed[] {
  const push = record(root["push_data"]);
  const name = text(record(root["repository"])?.["repo_name"]);
  if (!push || name === undefined) throw notFrom("Docker Hub", "push_data and repository.repo_name");
  return [pushed({ image: `${DOCKER_HUB}/${name}`, tag: push["tag"], at: isoOfSeconds(push["pushed_at"]) })];
}

/**
 * Harbor has two formats: its own, and CloudEvents. For each child of an index, and for a push without a tag (such as a
 * signature), it sends an event whose "tag" is the digest. Such an event counts as a push to the repository without a
 * tag.
 *
 * @see https://goharbor.io/docs/latest/working-with-projects/project-configuration/configure-webhooks/
 */
function harbor(root: JsonRecord): readonly Pushed[] {
  const type = text(root["type"]);
  if (type === undefined) throw notFrom("Harbor", "type");
  const cloud = root["specversion"] !== undefined;
  // pushImage: Harbor 1.x
  if (!["PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed"].includes(type)) return [];
  const resources = record(root[cloud ? "data" : "event_data"])?.["resources"];
  if (!Array.isArray(resources)) throw notFrom("Harbor", "resources");
  const at = cloud ? isoOf(root["time"]) : isoOfSeconds(root["occur_at"]);
  return distinct(
    (resources as readonly Json[]).slice(0, RESOURCES_MAX).map((resource) => {
      const { resource_url: image, tag } = record(resource) ?? {};
      return pushed({ image: text(image), tag: tag === "" || isDigestText(tag) ? undefined : tag, at });
    }),
  );
}

/** @see https://docs.quay.io/guides/notifications.html */
function quay(root: JsonRecord): readonly Pushed[] {
  const { docker_url: image, updated_tags: tags } = root;
  if (tags === undefined) return []; // no tags: an event about a build or a vulnerability
  const names = Array.isArray(tags) ? (tags as readonly Json[]) : Object.keys(record(tags) ?? {});
  if (names.some((name) => typeof name !== "string" || !isTag(name)))
    throw new TagferryError("HOOK_BODY", "a tag of the webhook is not valid");
  return [pushed({ image: text(image), tag: names.length === 1 ? names[0] : undefined, at: undefined })];
}

/** @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#registry_package */
function github(root: JsonRecord, event: string | undefined): readonly Pushed[] {
  if (event !== "registry_package" && event !== "package") return []; // others, such as `ping`, are no pushes
  const part = record(root[event]);
  if (!part) throw notFrom("GitHub", event);
  if (text(part["package_type"])?.toLowerCase() !== "container") return [];
  const version = record(part["package_version"]) ?? {};
  const image = text(version["package_url"]) ?? "";
  const name = text(part["name"]);
  const owner = text(part["namespace"]) ?? text(record(part["owner"])?.["login"]);
  const container = record(record(version["container_metadata"])?.["tag"]);
  return [
    pushed({
      // the URL of an untagged version ends with a colon or a digest
      image: image.includes("/") ? withoutReference(image) : `ghcr.io/${owner}/${name}`.toLowerCase(),
      tag: text(container?.["name"]) === "" ? undefined : container?.["name"],
      at: isoOf(part["updated_at"]),
    }),
  ];
}

/** The image without tag and digest: up to the first `:` or `@` of the last path part. */
function withoutReference(image: string): string {
  const name = image.lastIndexOf("/") + 1;
  const length = image.slice(name).search(/[:@]/);
  return length === -1 ? image : image.slice(0, name + length);
}

type PushFacts = {
  readonly image: string | undefined;
  readonly tag: Json | undefined;
  readonly at: string | undefined;
};

/** @throws {TagferryError} HOOK_BODY */
function pushed({ image, tag, at }: PushFacts): Pushed {
  if (image === undefined) throw new TagferryError("HOOK_BODY", "the webhook names no repository");
  if (tag !== undefined && tag !== null && (typeof tag !== "string" || !isTag(tag)))
    throw new TagferryError("HOOK_BODY", "the tag of the webhook is not valid");
  try {
    const reference = parseReference(image);
    const named = tag ?? reference.tag;
    return {
      repository: formatRepository(reference),
      ...(typeof named === "string" ? { tag: named } : {}),
      ...(at === undefined ? {} : { at }),
    };
  } catch (cause) {
    throw new TagferryError("HOOK_BODY", "the repository of the webhook is not valid", { cause });
  }
}

function distinct(all: readonly Pushed[]): readonly Pushed[] {
  return [...new Map(all.map((one) => [one.repository, one])).values()];
}

type JsonRecord = { readonly [key: string]: Json };

function record(value: Json | undefined): JsonRecord | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonRecord)
    : undefined;
}

function text(value: Json | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function isDigestText(value: Json | undefined): boolean {
  return typeof value === "string" && isDigest(value);
}

/** No sender uses this key. Attackers send it to change the prototype of objects. */
function hasPrototypeKey(value: Json): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, item]) => key === "__proto__" || hasPrototypeKey(item));
}

function isoOfSeconds(value: Json | undefined): string | undefined {
  return typeof value === "number" && Number.isFinite(value)
    ? isoOf(new Date(value * 1000).toJSON())
    : undefined;
}

/** A time in the future and invalid text are left out. */
function isoOf(value: Json | undefined): string | undefined {
  const time = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return time > 0 && time <= Date.now() ? new Date(time).toISOString() : undefined;
}

function notFrom(sender: string, missing: string): TagferryError {
  return new TagferryError("HOOK_BODY", `this is not a webhook of ${sender}: ${missing} is missing`);
}
