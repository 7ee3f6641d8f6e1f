import { type Platform, parsePlatform } from "../oci/platform.ts";
import type { Mirror, Target } from "./config.ts";
import type { Problem } from "./file/problems.ts";
import type { FileShape, MirrorShape } from "./file/schema.ts";
import { type MirrorReader, type MirrorsContext, readerAt } from "./mirror-reader.ts";
import { readPrune } from "./prune.ts";
import { readSchedule } from "./schedule.ts";
import { parseSize } from "./size.ts";
import { readTags } from "./tags.ts";
import { readLocation, readStorage, readTarget, refuseIdleKeys } from "./target.ts";

/** Reads the mirrors. Each problem gets its position. A mirror with a problem is left out. */
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

/** A mirror and its index in the file's list. */
export type Located = { readonly mirror: Mirror; readonly position: number };

function readMirror(shape: MirrorShape, own: MirrorShape, reader: MirrorReader): Mirror | undefined {
  const source = reader.attempt(["source"], () => readLocation(shape.source, reader));
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
    ...(shape.labels ? { labels: shape.labels } : {}),
  };
}

const DEFAULT_VERIFY_EVERY_MS = 24 * 3_600_000;
const VERIFY_EVERY_MIN_MS = 60_000;

function readVerifyEvery({ verifyEvery }: MirrorShape, reader: MirrorReader): number {
  if (verifyEvery === undefined) return DEFAULT_VERIFY_EVERY_MS;
  const everyMs = reader.duration(["verifyEvery"], verifyEvery);
  if (everyMs !== undefined && everyMs < VERIFY_EVERY_MIN_MS)
    reader.fail(["verifyEvery"], "CONFIG_RANGE", `tags are not verified every ${verifyEvery}`, {
      found: verifyEvery,
      allowed: "1m or more",
    });
  return everyMs ?? DEFAULT_VERIFY_EVERY_MS;
}

function readMaxImageSize({ maxImageSize = "500GiB" }: MirrorShape, reader: MirrorReader): number {
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

function readDeadline({ deadline }: MirrorShape, reader: MirrorReader): number {
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

function readPlatforms({ platforms }: MirrorShape, reader: MirrorReader): readonly Platform[] | undefined {
  return platforms?.flatMap(
    (text, position) => reader.attempt(["platforms", position], () => parsePlatform(text)) ?? [],
  );
}
