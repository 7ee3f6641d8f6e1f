import { type ContentReader, fallbackTag, parseManifest } from "../content/content.ts";
import { walk } from "./closure.ts";

/** What is read from both sides: content, tags, and the referrers of a digest. */
export type Shown = ContentReader & {
  readonly tags: ReadonlyMap<string, string>;
  referrers(digest: string): readonly string[];
};

const DEEPEST = 4;

/**
 * Referrers at the source that are missing or incomplete at the target: those of the API or the fallback tag,
 * those of children and of referrers too, and cosign's tags.
 */
export function lostReferrers(source: Shown, target: Shown, image: string): string[] {
  return [...walk(source, image).manifests].flatMap((digest) => [
    ...lostOf(source, target, digest, 0),
    ...lostCosignTags(source, target, digest),
  ]);
}

function lostOf(source: Shown, target: Shown, subject: string, depth: number): string[] {
  if (depth > DEEPEST) return [];
  const found = new Set(target.referrers(subject));
  return [...new Set(source.referrers(subject))].flatMap((digest) => {
    if (!found.has(digest)) return [`${digest} refers to ${subject}, and the target does not show it`];
    const { problems } = walk(target, digest);
    return [
      ...problems.map((problem) => `referrer ${digest}: ${problem}`),
      ...lostOf(source, target, digest, depth + 1),
    ];
  });
}

function lostCosignTags(source: Shown, target: Shown, subject: string): string[] {
  return [...source.tags].flatMap(([tag, digest]) => {
    if (!tag.startsWith(`${fallbackTag(subject)}.`)) return [];
    if (target.tags.get(tag) !== digest)
      return [`${tag} is ${target.tags.get(tag) ?? "absent"}, not ${digest}`];
    return walk(target, digest).problems.map((problem) => `${tag}: ${problem}`);
  });
}

/** What an index under the fallback tag of `digest` lists, when there is one. */
export function fallbackReferrers(
  reader: ContentReader,
  tags: ReadonlyMap<string, string>,
  digest: string,
): string[] {
  const bytes = reader.manifest(tags.get(fallbackTag(digest)) ?? "")?.bytes;
  if (bytes === undefined) return [];
  try {
    return (parseManifest(bytes).manifests ?? []).map((entry) => entry.digest);
  } catch {
    return [];
  }
}
