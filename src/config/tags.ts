import { type Digest, parseDigest } from "../oci/digest.ts";
import { parseTag } from "../oci/reference.ts";
import type { TagMatcher, TagRules } from "./config.ts";
import type { MirrorShape, TagRulesShape } from "./file/schema.ts";
import type { MirrorReader } from "./mirror-reader.ts";

export function readTags({ tags }: MirrorShape, reader: MirrorReader): TagRules | undefined {
  if (tags === undefined)
    return reader.fail([], "CONFIG_TYPE", "tags is missing, and there is no default", {
      found: "nothing",
      allowed: "a list of tags, rules, or {all: true}",
      next: 'Write `tags: ["1.27"]` for exact tags, `tags: {semver: ">=1.20"}` for a rule, or `tags: {all: true}`.',
    });
  return Array.isArray(tags) ? readExact(tags, reader) : readRules(tags, reader);
}

function readExact(list: readonly string[], reader: MirrorReader): TagRules | undefined {
  const digests = new Map<string, Digest>();
  const tags = list.map((text, position): string | undefined => {
    const pattern = patternOf(text);
    if (pattern !== undefined)
      return reader.fail(
        ["tags", position],
        "CONFIG_TAG",
        `"${text}" is a pattern, and a list has exact tags`,
        {
          found: text,
          allowed: "exact tags, or rules instead of the list",
          next: `Write \`tags: ${pattern}\`.`,
        },
      );
    const at = text.indexOf("@");
    const tag = reader.attempt(["tags", position], () => parseTag(at === -1 ? text : text.slice(0, at)));
    const digest =
      at === -1 ? undefined : reader.attempt(["tags", position], () => parseDigest(text.slice(at + 1)));
    if (tag !== undefined && digest !== undefined) digests.set(tag, digest);
    if (
      tag !== undefined &&
      list.some((other, earlier) => earlier < position && (other === tag || other.startsWith(`${tag}@`)))
    )
      reader.fail(["tags", position], "CONFIG_OVERLAP", `the tag ${tag} occurs twice`, { found: tag });
    return tag;
  });
  const known = tags.filter((tag) => tag !== undefined);
  return {
    kind: "exact",
    tags: known,
    ...(digests.size > 0 ? { digests: Object.fromEntries(digests) } : {}),
  };
}

/** What somebody probably means by a pattern in the list of exact tags: the rule for it. */
function patternOf(text: string): string | undefined {
  const quoted = JSON.stringify(text);
  if (/^[<>=^~]/.test(text) || / (?:\|\||-) /.test(text)) return `{semver: ${quoted}}`;
  if (text.startsWith("/") && text.endsWith("/")) return `{regex: ${JSON.stringify(text.slice(1, -1))}}`;
  return /[*?[\]{}]/.test(text) ? `{glob: ${quoted}}` : undefined;
}

function many(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === "string" ? [value] : value;
}

function readRules(shape: TagRulesShape, reader: MirrorReader): TagRules | undefined {
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
      next: "Write which tags are included; exclude and newest only remove some of them.",
    });
  if (all === true && include.length > 1)
    reader.fail(["tags"], "CONFIG_FILTER", "all: true makes the other rules useless", {
      allowed: "all: true, or rules",
    });
  if (by !== undefined && newest === undefined)
    reader.fail(["tags", "by"], "CONFIG_FILTER", "by has no effect without newest", {
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
