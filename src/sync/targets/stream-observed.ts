import type { Mirror } from "../../config/config.ts";
import type { Digest } from "../../oci/digest.ts";
import { formatRepository } from "../../oci/reference.ts";
import {
  currentEvent,
  type ImageStream,
  followedTag,
  importedFrom,
  isLocal,
  spoilingManager,
} from "../../openshift/image-stream.ts";
import { type OwnedTag, readOwnership } from "../../openshift/ownership.ts";
import type { Observed, ObservedTag } from "../../plan/action.ts";

/**
 * The state of a mirror's tags in one stream: the tags in `wanted` and the tags it owns. Tags of others are left out.
 * Pure.
 */
export function observedInStream(
  stream: ImageStream,
  mirror: Mirror,
  wanted: readonly string[],
  installation: string,
): Observed["tags"] {
  const owned = readOwnership(stream);
  const ours = [...owned]
    .filter(([, tag]) => tag.installation === installation && tag.mirror === mirror.name)
    .map(([name]) => name);
  return Object.fromEntries(
    [...new Set([...wanted, ...ours])].map((tag) => [
      tag,
      observedTag(stream, tag, mirror, owned.get(tag), installation),
    ]),
  );
}

function observedTag(
  stream: ImageStream,
  tag: string,
  mirror: Mirror,
  owned: OwnedTag | undefined,
  installation: string,
): ObservedTag {
  const event = currentEvent(stream, tag);
  const importsFrom = importedFrom(stream, tag);
  const follows = followedTag(stream, tag);
  return {
    ...(event ? { digest: event.image } : {}),
    inPlace: event !== undefined && isInPlace(stream, tag, mirror, event),
    owner: ownerOf(owned, {
      exists: event !== undefined || importsFrom !== undefined,
      importsFrom,
      mirror,
      installation,
    }),
    ...(follows === undefined ? {} : { follows }),
    ...(owned?.digest === undefined ? {} : { published: owned.digest }),
    ...(owned?.missingSince === undefined ? {} : { missingSince: owned.missingSince }),
    ...takeoverState(stream, tag, mirror, owned, importsFrom),
    ...sinceOf(event?.created),
  };
}

/** A date that is no date is left out. */
function sinceOf(created: string | null | undefined): Pick<ObservedTag, "since"> {
  const at = new Date(created ?? Number.NaN);
  return Number.isNaN(at.getTime()) ? {} : { since: at.toISOString() };
}

/**
 * Both digest and location must match. A stream that imports the same digest from a remote registry is not in place.
 */
function isInPlace(
  stream: ImageStream,
  tag: string,
  { storage, source }: Mirror,
  event: { readonly image: Digest; readonly dockerImageReference: string },
): boolean {
  switch (storage.kind) {
    case "integrated":
      return isLocal(stream, tag);
    case "source":
      return (
        source.kind === "registry" &&
        event.dockerImageReference === `${formatRepository(source)}@${event.image}`
      );
    case "repository":
      return event.dockerImageReference === `${formatRepository(storage)}@${event.image}`;
  }
}

type TagState = {
  readonly exists: boolean;
  readonly importsFrom: string | undefined;
  readonly mirror: Mirror;
  readonly installation: string;
};

function ownerOf(
  owned: OwnedTag | undefined,
  { exists, importsFrom, mirror, installation }: TagState,
): ObservedTag["owner"] {
  if (owned?.installation === installation && owned.mirror === mirror.name) return { kind: "us" };
  if (owned) return { kind: "other", installation: owned.installation, mirror: owned.mirror };
  if (!exists) return { kind: "free" };
  return { kind: "unowned", ...(importsFrom === undefined ? {} : { importsFrom }) };
}

/**
 * A spec tag that imports is in the way only when Tagferry pushes. When the stream imports, the spec tag is our own.
 */
function takeoverState(
  stream: ImageStream,
  tag: string,
  { storage }: Mirror,
  owned: OwnedTag | undefined,
  importsFrom: string | undefined,
): Pick<ObservedTag, "importsFrom" | "contestedBy"> {
  if (importsFrom === undefined || storage.kind !== "integrated") return {};
  if (owned?.takeover !== "done") return { importsFrom };
  return {
    importsFrom,
    contestedBy: spoilingManager(stream, tag) ?? "somebody (the stream records no field managers)",
  };
}
