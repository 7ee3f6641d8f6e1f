import { failureOf, TagferryError } from "../../src/errors/error.ts";
import type { Digest } from "../../src/oci/digest.ts";
import type { Desired, DesiredTag, Observed, ObservedTag } from "../../src/plan/action.ts";

export const NOW = new Date("2026-06-10T00:00:00Z");
export const READ_AT = "2026-06-09T23:59:00.000Z";
export const ONE: Digest = `sha256:${"1".repeat(64)}`;
export const TWO: Digest = `sha256:${"2".repeat(64)}`;
export const DAY_MS = 86_400_000;
export const FAILURE = failureOf(new TagferryError("REGISTRY_UNAVAILABLE", "no answer"));

/** The fields of every desired tag: its name, its source, and when the source was read. */
export const readOf = (tag: string): Pick<DesiredTag, "tag" | "from" | "readAt"> => ({
  tag,
  from: { source: "docker.io/library/nginx", tag },
  readAt: READ_AT,
});
export const wants = (tag: string, digest: Digest = ONE): DesiredTag => ({
  kind: "resolved",
  ...readOf(tag),
  image: { mediaType: "application/vnd.oci.image.index.v1+json", digest, size: 500 },
});
export const desire = (tags: readonly DesiredTag[], changes: Partial<Desired> = {}): Desired => ({
  mirror: "nginx",
  readAt: READ_AT,
  tags,
  explained: tags.map(({ tag }) => ({ tag, kept: true, rule: "all: true" })),
  listing: "complete",
  ...changes,
});
export const observe = (tags: Observed["tags"] = {}): Observed => ({ mirror: "nginx", tags });
export const ours = (changes: Partial<ObservedTag> = {}): ObservedTag => ({
  digest: ONE,
  inPlace: true,
  owner: { kind: "us" },
  published: ONE,
  ...changes,
});
