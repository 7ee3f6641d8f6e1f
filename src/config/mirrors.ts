import { isAbsolute, resolve } from "node:path";

import type { ErrorCode } from "../errors/codes.ts";
import { isTagferryError } from "../errors/error.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import { parsePlatform, type Platform } from "../oci/platform.ts";
import { parseRepository, parseTag, type Location } from "../oci/reference.ts";
import type { Mirror, PruneRules, Storage, TagMatcher, TagRules, Target } from "./config.ts";
import { parseDuration } from "./duration.ts";
import type { Problem } from "./file/problems.ts";
import type { FileShape, MirrorShape, TagRulesShape } from "./file/schema.ts";
import { shown } from "./file/shape.ts";
import type { Path, ProblemFacts, YamlFile } from "./file/yaml.ts";
import { readSchedule } from "./schedule.ts";
import { parseSize } from "./size.ts";

export type MirrorsContext = { readonly yaml: YamlFile; readonly directory: string };

/** Text becomes Mirrors here, each problem with its place. A mirror with a problem is left out. */
export function readMirrors(
  { mirrors, defaults = {} }: FileShape,
  context: MirrorsContext,
): { readonly mirrors: readonly Located[]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const located = mirrors.flatMap((shape, position): Located[] => {
    const reader = readerAt(position, shape, context, problems);
    const before = problems.length;
    const mirror = readMirror({ ...defaults, ...shape }, shape, reader);
    return mirror && problems.length === before ? [{ mirror, position }] : [];
  });
  return { mirrors: located, problems };
}

/** A mirror with its position in the file. */
export type Located = { readonly mirror: Mirror; readonly position: number };

export type Reader = {
  readonly directory: string;
  readonly fail: (at: Path, code: ErrorCode, message: string, facts?: ProblemFacts) => undefined;
  /** Runs what throws a TagferryError, and makes it a problem at this place. */
  attempt<T>(at: Path, read: () => T): T | undefined;
  /** In milliseconds. */
  duration(at: Path, text: string): number | undefined;
};

/** Keys that stand under `defaults` have their place there. */
function readerAt(
  position: number,
  shape: MirrorShape,
  { yaml, directory }: MirrorsContext,
  problems: Problem[],
): Reader {
  const pathOf = (at: Path): Path => {
    const [key] = at;
    return key === undefined || key in shape ? ["mirrors", position, ...at] : ["defaults", ...at];
  };
  const fail: Reader["fail"] = (at, code, message, facts) => {
    problems.push(yaml.problem(pathOf(at), code, message, facts));
    return undefined;
  };
  return {
    directory,
    fail,
    attempt(at, read) {
      try {
        return read();
      } catch (error) {
        if (!isTagferryError(error)) throw error;
        const { found, allowed, next } = error.details;
        fail(at, error.code, error.message, {
          found,
          allowed,
          ...(typeof next === "string" ? { next } : {}),
        });
        return undefined;
      }
    },
    duration: (at, text) =>
      parseDuration(text) ??
      fail(at, "CONFIG_DURATION", `"${text}" is not a duration`, {
        found: text,
        allowed: "a whole number and a unit: 30s, 15m, 12h, 90d",
      }),
  };
}

function readMirror(shape: MirrorShape, own: MirrorShape, reader: Reader): Mirror | undefined {
  const source = reader.attempt(["source"], () => readPlace(shape.source, reader));
  const target = readTarget(shape.target, reader);
  const storage = readStorage(shape, target, reader);
  const tags = readTags(shape, reader);
  const platforms = readPlatforms(shape, reader);
  const prune = readPrune(shape, target, tags, reader);
  const schedule = readSchedule(shape, own, reader);
  refuseIdleKeys(shape, target, storage, reader);
  if (!source || !target || !storage || !tags) return undefined;
  return {
    name: shape.name ?? derivedName(target),
    source,
    target,
    storage,
    tags,
    referrers: shape.referrers ?? true,
    takeover: shape.takeover ?? false,
    referencePolicy: shape.referencePolicy ?? "source",
    deadlineMs: readDeadline(shape, reader),
    verifyEveryMs: readVerifyEvery(shape, reader),
    maxImageBytes: readMaxImageSize(shape, reader),
    ...(platforms ? { platforms } : {}),
    ...(prune ? { prune } : {}),
    ...(schedule ? { schedule } : {}),
  };
}

const DEFAULT_VERIFY_EVERY_MS = 24 * 3_600_000;
const VERIFY_EVERY_MIN_MS = 60_000;

function readVerifyEvery({ verifyEvery }: MirrorShape, reader: Reader): number {
  if (verifyEvery === undefined) return DEFAULT_VERIFY_EVERY_MS;
  const everyMs = reader.duration(["verifyEvery"], verifyEvery);
  if (everyMs !== undefined && everyMs < VERIFY_EVERY_MIN_MS)
    reader.fail(["verifyEvery"], "CONFIG_RANGE", `tags are not verified every ${verifyEvery}`, {
      found: verifyEvery,
      allowed: "1m or more",
    });
  return everyMs ?? DEFAULT_VERIFY_EVERY_MS;
}

function readMaxImageSize({ maxImageSize = "500GiB" }: MirrorShape, reader: Reader): number {
  const bytes = parseSize(maxImageSize);
  if (bytes === undefined || bytes === 0)
    reader.fail(["maxImageSize"], "CONFIG_RANGE", `${maxImageSize} is not the size of an image`, {
      found: maxImageSize,
      allowed: "a number and a unit: 500MiB, 100GiB, 2TiB",
    });
  return bytes ?? 0;
}

const DEFAULT_DEADLINE_MS = 10 * 60_000;
const DEADLINE_MAX_MS = 24 * 3_600_000;

function readDeadline({ deadline }: MirrorShape, reader: Reader): number {
  if (deadline === undefined) return DEFAULT_DEADLINE_MS;
  const deadlineMs = reader.duration(["deadline"], deadline);
  if (deadlineMs !== undefined && (deadlineMs === 0 || deadlineMs > DEADLINE_MAX_MS))
    reader.fail(["deadline"], "CONFIG_RANGE", `a check cannot take ${deadline}`, {
      found: deadline,
      allowed: "1s to 24h",
    });
  return deadlineMs ?? DEFAULT_DEADLINE_MS;
}

function derivedName(target: Target): string {
  switch (target.kind) {
    case "imagestream":
      return `${target.namespace}-${target.name}`;
    case "registry":
      return target.repository.replaceAll("/", "-");
    case "layout":
      return target.directory.split("/").findLast((part) => part !== "") ?? "layout";
  }
}

function readPlace(text: string, { directory }: Reader): Location {
  if (text.startsWith("oci:")) {
    const path = text.slice("oci:".length);
    return { kind: "layout", directory: isAbsolute(path) ? path : resolve(directory, path) };
  }
  return { kind: "registry", ...parseRepository(text) };
}

const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Single separators only: what Docker allows beyond (a__b, a--b, slashes) has no place in a stream's name. */
const STREAM = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/;

function readTarget(text: string, reader: Reader): Target | undefined {
  if (!text.startsWith("imagestream:")) return reader.attempt(["target"], () => readPlace(text, reader));
  const name = text.slice("imagestream:".length);
  const fail = (why: string): undefined =>
    reader.fail(["target"], "CONFIG_KUBERNETES_NAME", `"${text}" is no image stream: ${why}`, {
      found: name,
      allowed: "imagestream:NAMESPACE/NAME",
    });
  const [namespace = "", stream = "", ...rest] = name.split("/");
  if (rest.length > 0 || stream === "") return fail("it has to have two parts");
  if (stream.includes(":") || stream.includes("@")) return fail("tags stand under tags:");
  if (namespace.includes(":")) return fail("one cluster is known, and needs no name");
  if (!NAMESPACE.test(namespace)) return fail(`"${namespace}" is not a namespace`);
  if (!STREAM.test(stream)) return fail(`"${stream}" is not a name in the integrated registry`);
  if (name.length > 255) return fail("it is longer than 255 characters");
  return { kind: "imagestream", namespace, name: stream };
}

function readStorage(
  { storage = "integrated" }: MirrorShape,
  target: Target | undefined,
  reader: Reader,
): Storage | undefined {
  if (storage === "integrated" || storage === "source") return { kind: storage };
  const repository = reader.attempt(["storage"], () => parseRepository(storage));
  return repository && target ? { kind: "repository", ...repository } : undefined;
}

/** A key that would do nothing is a mistake of its author. */
function refuseIdleKeys(
  shape: MirrorShape,
  target: Target | undefined,
  storage: Storage | undefined,
  { fail }: Reader,
): void {
  if (!target || !storage) return;
  const streamOnly = ["storage", "takeover", "referencePolicy"] as const;
  if (target.kind !== "imagestream")
    for (const key of streamOnly)
      if (shape[key] !== undefined)
        fail([key], "CONFIG_TYPE", `${key} means nothing for this target`, {
          key: true,
          found: shape.target,
          allowed: "an imagestream: target",
        });
  if (target.kind === "imagestream" && storage.kind === "integrated" && shape.referencePolicy !== undefined)
    fail(["referencePolicy"], "CONFIG_TYPE", "referencePolicy means nothing for storage: integrated", {
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

function readTags({ tags }: MirrorShape, reader: Reader): TagRules | undefined {
  if (tags === undefined)
    return reader.fail([], "CONFIG_TYPE", "tags is missing: no tag is mirrored by accident", {
      found: "nothing",
      allowed: "a list of tags, rules, or {all: true}",
      next: "Write tags.",
    });
  return Array.isArray(tags) ? readExact(tags, reader) : readRules(tags, reader);
}

function readExact(list: readonly string[], reader: Reader): TagRules | undefined {
  const digests: Record<string, Digest> = {};
  const tags = list.map((text, position): string | undefined => {
    const at = text.indexOf("@");
    const tag = reader.attempt(["tags", position], () => parseTag(at === -1 ? text : text.slice(0, at)));
    const digest =
      at === -1 ? undefined : reader.attempt(["tags", position], () => parseDigest(text.slice(at + 1)));
    if (tag !== undefined && digest !== undefined) digests[tag] = digest;
    if (
      tag !== undefined &&
      list.some((other, earlier) => earlier < position && (other === tag || other.startsWith(`${tag}@`)))
    )
      reader.fail(["tags", position], "CONFIG_OVERLAP", `the tag ${tag} stands twice`, { found: tag });
    return tag;
  });
  const known = tags.filter((tag) => tag !== undefined);
  return { kind: "exact", tags: known, ...(Object.keys(digests).length > 0 ? { digests } : {}) };
}

function many(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === "string" ? [value] : value;
}

function readRules(shape: TagRulesShape, reader: Reader): TagRules | undefined {
  const { all, exact, glob, regex, semver, exclude, since, newest, by, max } = shape;
  for (const [position, tag] of many(exact).entries())
    reader.attempt(["tags", "exact", position], () => parseTag(tag));
  const include: TagMatcher[] = [
    ...(all === true ? [{ kind: "all" } as const] : []),
    ...many(exact).map((tag) => ({ kind: "exact", tag }) as const),
    ...many(glob).map((one) => ({ kind: "glob", glob: one }) as const),
    ...many(regex).map((one) => ({ kind: "regex", regex: one }) as const),
    ...many(semver).map((range) => ({ kind: "semver", range }) as const),
  ];
  if (include.length === 0)
    return reader.fail(["tags"], "CONFIG_FILTER", "the rules include nothing", {
      found: Object.keys(shape).join(", ") || "nothing",
      allowed: "all: true, exact, glob, regex or semver",
      next: "Say what is included; exclude and newest only take away.",
    });
  if (all === true && include.length > 1)
    reader.fail(["tags"], "CONFIG_FILTER", "all: true makes the other rules useless", {
      allowed: "all: true, or rules",
    });
  if (by !== undefined && newest === undefined)
    reader.fail(["tags", "by"], "CONFIG_FILTER", "by means nothing without newest", {
      key: true,
      allowed: "newest and by",
    });
  const sinceMs = since === undefined ? undefined : reader.duration(["tags", "since"], since);
  return {
    kind: "rules",
    include,
    exclude: many(exclude),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(newest === undefined ? {} : { newest: { count: newest, by: by ?? "semver" } }),
    ...(max === undefined ? {} : { max }),
  };
}

function readPlatforms({ platforms }: MirrorShape, reader: Reader): readonly Platform[] | undefined {
  return platforms?.flatMap(
    (text, position) => reader.attempt(["platforms", position], () => parsePlatform(text)) ?? [],
  );
}

const DEFAULT_AT_MOST = "20%";

function readPrune(
  { prune }: MirrorShape,
  target: Target | undefined,
  tags: TagRules | undefined,
  reader: Reader,
): PruneRules | undefined {
  if (!prune) return undefined;
  if (target && target.kind !== "imagestream")
    reader.fail(["prune"], "CONFIG_PRUNE", "nothing is owned at this target, so nothing can be pruned", {
      key: true,
      allowed: "an imagestream: target",
    });
  if (tags?.kind === "exact")
    reader.fail(["prune"], "CONFIG_PRUNE", "exact tags are not listed, so none can be seen to be gone", {
      key: true,
      allowed: "tag rules",
    });
  const graceMs = reader.duration(["prune", "grace"], prune.grace);
  const atMost = readAtMost(prune.atMost ?? DEFAULT_AT_MOST, reader);
  return graceMs === undefined || !atMost ? undefined : { graceMs, atMost };
}

function readAtMost(value: string | number, { fail }: Reader): PruneRules["atMost"] | undefined {
  const count = typeof value === "number" ? value : /^\d{1,6}$/.test(value) ? Number(value) : undefined;
  if (count !== undefined && Number.isSafeInteger(count) && count > 0) return { kind: "count", count };
  const percent = typeof value === "string" ? /^(\d{1,3}(?:\.\d+)?)%$/.exec(value)?.[1] : undefined;
  if (percent !== undefined && Number(percent) > 0 && Number(percent) <= 100)
    return { kind: "share", share: Number(percent) / 100 };
  return fail(
    ["prune", "atMost"],
    "CONFIG_RANGE",
    `${shown(value)} is neither a share nor a number of tags`,
    { found: shown(value), allowed: "1% to 100%, or a whole number from 1" },
  );
}
