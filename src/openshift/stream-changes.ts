import { type Failure, failureOf, TagferryError } from "../errors/error.ts";
import type { Digest } from "../oci/digest.ts";
import { formatStream, type ImageStream, specTag } from "./image-stream.ts";
import {
  type OwnedTag,
  type Ownership,
  OWNERSHIP_ANNOTATION,
  readOwnership,
  writeOwnership,
} from "./ownership.ts";

export type Claim = {
  readonly tag: string;
  readonly mirror: string;
  /** `docker.io/library/nginx:1.27` */
  readonly source: string;
  /** Switch off the scheduled import of the spec tag now, and remove the spec tag when our image is published. */
  readonly takeover: boolean;
};

export type Published = {
  readonly tag: string;
  readonly mirror: string;
  readonly source: string;
  readonly digest: Digest;
  readonly finishTakeover: boolean;
};

/** A strategic merge patch of a stream. Fields that are not in the patch stay as they are. */
export type StreamPatch = {
  readonly metadata: { readonly annotations: Readonly<Record<string, string | null>> };
  readonly spec?: { readonly tags: readonly Readonly<Record<string, unknown>>[] };
};

/**
 * Claims tags for this mirror. Tags of another owner are listed in `failures` and stay as they are.
 *
 * @throws {TagferryError} STREAM_OWNED when the annotation cannot be read
 */
export function claimPatch(
  current: ImageStream,
  claims: readonly Claim[],
  installation: string,
): { readonly patch: StreamPatch | undefined; readonly failures: ReadonlyMap<string, Failure> } {
  const failures = new Map<string, Failure>();
  const owned = new Map(readOwnership(current));
  for (const claim of claims) {
    const where = `${formatStream(current.metadata)}:${claim.tag}`;
    const before = owned.get(claim.tag);
    if (before && !isOurs(before, claim.mirror, installation))
      failures.set(claim.tag, failureOf(notOurs(where, before)));
    else owned.set(claim.tag, claimed(claim, current, before, installation));
  }
  const scheduled = claims.filter(
    ({ tag, takeover }) =>
      takeover && !failures.has(tag) && specTag(current, tag)?.importPolicy?.scheduled === true,
  );
  const tags = scheduled.map(({ tag }) => ({ name: tag, importPolicy: { scheduled: false } }));
  return { patch: patchOf(current, owned, tags), failures };
}

/** Records what was published, and removes the spec tags of the takeovers that this finishes. */
export function publishedPatch(
  current: ImageStream,
  published: readonly Published[],
  installation: string,
): StreamPatch | undefined {
  const owned = new Map(readOwnership(current));
  for (const { tag, mirror, source, digest, finishTakeover } of published) {
    const { missingSince: _, ...before } = owned.get(tag) ?? {};
    owned.set(tag, {
      ...before,
      installation,
      mirror,
      source,
      digest,
      ...(finishTakeover ? { takeover: "done" } : {}),
    });
  }
  const removed = published.filter(
    ({ tag, finishTakeover }) => finishTakeover && specTag(current, tag) !== undefined,
  );
  return patchOf(
    current,
    owned,
    removed.map(({ tag }) => ({ $patch: "delete", name: tag })),
  );
}

/** Records since when tags of this mirror are missing at the source; undefined: the tag is back. */
export function missingPatch(
  current: ImageStream,
  missing: readonly { readonly tag: string; readonly missingSince?: string | undefined }[],
  owner: { readonly mirror: string; readonly installation: string },
): StreamPatch | undefined {
  const owned = new Map(readOwnership(current));
  for (const { tag, missingSince } of missing) {
    const before = owned.get(tag);
    if (!isOurs(before, owner.mirror, owner.installation)) continue;
    const { missingSince: _, ...rest } = before;
    owned.set(tag, { ...rest, ...(missingSince === undefined ? {} : { missingSince }) });
  }
  return patchOf(current, owned, []);
}

/** Removes the records of tags that were deleted. */
export function removedPatch(current: ImageStream, removed: readonly string[]): StreamPatch | undefined {
  const gone = new Set(removed);
  const rest = [...readOwnership(current)].filter(([tag]) => !gone.has(tag));
  return patchOf(current, new Map(rest), []);
}

/** undefined when neither the annotation nor a spec tag changes. A needless write would wake triggers and importers. */
function patchOf(
  current: ImageStream,
  owned: Ownership,
  tags: readonly Readonly<Record<string, unknown>>[],
): StreamPatch | undefined {
  const text = writeOwnership(owned);
  const before = current.metadata.annotations?.[OWNERSHIP_ANNOTATION] ?? null;
  if (text === before && tags.length === 0) return undefined;
  return {
    metadata: { annotations: { [OWNERSHIP_ANNOTATION]: text } },
    ...(tags.length > 0 ? { spec: { tags } } : {}),
  };
}

function claimed(
  { tag, mirror, source, takeover }: Claim,
  current: ImageStream,
  before: OwnedTag | undefined,
  installation: string,
): OwnedTag {
  const spec = specTag(current, tag);
  const replaced =
    before?.replaced ?? (before === undefined && spec ? { replaced: spec }.replaced : undefined);
  const { missingSince: _, ...rest } = before ?? {};
  return {
    ...rest,
    installation,
    mirror,
    source,
    ...(takeover ? { takeover: "begun" as const } : {}),
    ...(replaced ? { replaced } : {}),
  };
}

export function isOurs(owned: OwnedTag | undefined, mirror: string, installation: string): owned is OwnedTag {
  return owned?.mirror === mirror && owned.installation === installation;
}

export function notOurs(where: string, owned: OwnedTag | undefined): TagferryError {
  const found = owned ? `${owned.installation}/${owned.mirror}` : "nobody";
  return new TagferryError("STREAM_OWNED", `${where} belongs to ${found}`, { where, found });
}
