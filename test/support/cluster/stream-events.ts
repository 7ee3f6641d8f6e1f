import {
  type ImageStream,
  latestEvent,
  now,
  specTag,
  type StatusTag,
  statusTag,
  type TagCondition,
  type TagEvent,
} from "./objects.ts";

/** One row of the table of addEvent: see how history grows in `addEvent`. */
export type NewEvent = Omit<TagEvent, "created">;

/**
 * Adds what a tag points at now. A new history item only when both reference and image moved; else the newest is
 * altered in place. Returns whether anything changed.
 */
export function addEvent(stream: ImageStream, tag: string, next: NewEvent): boolean {
  const entry = openStatusTag(stream, tag);
  const [newest] = entry.items ?? [];
  const sameRef = newest?.dockerImageReference === next.dockerImageReference;
  const sameImage = newest?.image === next.image;
  if (newest && sameRef && sameImage && newest.generation === next.generation) return false;
  delete entry.conditions;
  if (newest && (sameRef || sameImage)) Object.assign(newest, next);
  else entry.items = [{ created: now(), ...next }, ...(entry.items ?? [])];
  return true;
}

export function withoutTime({ dockerImageReference, image, generation }: TagEvent): NewEvent {
  return { dockerImageReference, image, generation };
}

function openStatusTag(stream: ImageStream, tag: string): StatusTag {
  const known = statusTag(stream, tag);
  if (known) return known;
  const made: StatusTag = { tag, items: null };
  stream.status.tags = [...(stream.status.tags ?? []), made].toSorted((a, b) => compare(a.tag, b.tag));
  return made;
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Gives the event of `tag` to every spec tag of the same stream that follows it. Other streams never follow. */
export function trackTag(stream: ImageStream, tag: string): void {
  const event = latestEvent(stream, tag);
  if (!event) return;
  const next = withoutTime(event);
  for (const { name, from } of stream.spec.tags ?? []) {
    if (from?.kind !== "ImageStreamTag") continue;
    if (from.namespace !== undefined && from.namespace !== "" && from.namespace !== stream.metadata.namespace)
      continue;
    if (from.name === tag || from.name === `${stream.metadata.name}:${tag}`) addEvent(stream, name, next);
  }
}

/** A repeated failure writes nothing: `lastTransitionTime` is no "last checked". Returns whether something was written. */
export function setCondition(
  stream: ImageStream,
  tag: string,
  condition: Omit<TagCondition, "type" | "status" | "lastTransitionTime">,
): boolean {
  const entry = openStatusTag(stream, tag);
  const [old] = entry.conditions ?? [];
  if (old?.reason === condition.reason && old.message === condition.message) return false;
  entry.conditions = [{ type: "ImportSuccess", status: "False", lastTransitionTime: now(), ...condition }];
  return true;
}

/** What triggers, builds and lookups compare: undefined while the tag has never been imported or pushed. */
export function resolvePullSpec(stream: ImageStream, tag: string): string | undefined {
  const event = latestEvent(stream, tag);
  if (!event) return undefined;
  const local = specTag(stream, tag)?.referencePolicy.type === "Local" && event.image !== "";
  return local ? `${stream.status.dockerImageRepository}@${event.image}` : event.dockerImageReference;
}

/** Digests resolve through the history of the stream's tags only. */
export function eventOfImage(stream: ImageStream, digest: string): TagEvent | undefined {
  const events = (stream.status.tags ?? []).flatMap(({ items }) => items ?? []);
  return events.find(({ image }) => image !== "" && image.startsWith(digest));
}
