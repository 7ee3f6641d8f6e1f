import type { TagRules } from "../config/config.ts";
import { TagferryError } from "../errors/error.ts";
import { isDigestTag } from "../oci/digest-tag.ts";
import type { ListedTag } from "../oci/store.ts";
import { compileGlob, compileMatcher, describeMatcher } from "./patterns.ts";
import { compareVersions, parseVersion, type Version } from "./version.ts";

/** One tag of the source, and why it is selected or not. */
export type Explained = {
  readonly tag: string;
  readonly kept: boolean;
  /**
   * The rule that decided, in the format of the configuration: `semver: ">=1.25 <2"`, `exclude: "*-rc*"`, `newest: 3`.
   */
  readonly rule: string;
};

export type Selected = { readonly kept: readonly ListedTag[]; readonly explained: readonly Explained[] };
type Rules = Extract<TagRules, { readonly kind: "rules" }>;

/**
 * The first stage, which needs only names: everything included, minus everything excluded.
 *
 * Signature tags (`sha256-….sig`) are copied together with the image that they sign. They are selected only by an exact
 * name or by a pattern that begins with `sha256-`.
 */
export function include(rules: Rules, listed: readonly ListedTag[]): Selected {
  const includes = rules.include.map((matcher) => ({
    test: compileMatcher(matcher),
    rule: describeMatcher(matcher),
  }));
  const excludes = rules.exclude.map((glob) => ({ test: compileGlob(glob), rule: `exclude: "${glob}"` }));
  const meant = rules.include.some((matcher) => JSON.stringify(matcher).includes("sha256-"));
  return decide(listed, ({ tag }) => {
    if (!meant && isDigestTag(tag)) return { kept: false, rule: "a signature: it is copied with its image" };
    const included = includes.find(({ test }) => test(tag));
    if (!included) return { kept: false, rule: NOT_INCLUDED };
    const excluded = excludes.find(({ test }) => test(tag));
    return { kept: excluded === undefined, rule: (excluded ?? included).rule };
  });
}

/** The `rule` of a tag that no rule includes. */
export const NOT_INCLUDED = "no rule includes it";

/** Whether the second stage needs push dates, which cost requests where the listing has none. */
export function needsDates({ sinceMs, newest }: Rules): boolean {
  return sinceMs !== undefined || newest?.by === "pushed";
}

/**
 * The second stage, for the tags that the first stage kept: since, then newest, then max.
 *
 * @throws {TagferryError} TAGS_TOO_MANY, because a list is never shortened silently
 */
export function narrow(rules: Rules, dated: readonly ListedTag[], { now }: { readonly now: Date }): Selected {
  const recent = keepSince(rules, dated, now);
  const newest = keepNewest(rules, recent.kept);
  const { max } = rules;
  if (max !== undefined && newest.kept.length > max)
    throw new TagferryError(
      "TAGS_TOO_MANY",
      `the rules select ${newest.kept.length} tags, more than max: ${max}`,
      {
        found: `${newest.kept.length}: ${newest.kept
          .slice(0, 5)
          .map(({ tag }) => tag)
          .join(", ")}${newest.kept.length > 5 ? " and others" : ""}`,
        allowed: max,
      },
    );
  const dropped = [...recent.explained, ...newest.explained].filter(({ kept }) => !kept);
  const ruleOf = lastRule(rules);
  return {
    kept: newest.kept,
    explained: [...newest.kept.map(({ tag }) => ({ tag, kept: true, rule: ruleOf(tag) })), ...dropped],
  };
}

/** The rule that kept a tag: the last rule that could have dropped it. */
function lastRule({ include: includes, newest }: Rules): (tag: string) => string {
  if (newest) return () => describeNewest(newest);
  const matchers = includes.map((matcher) => ({
    test: compileMatcher(matcher),
    rule: describeMatcher(matcher),
  }));
  return (tag) => matchers.find(({ test }) => test(tag))?.rule ?? "included";
}

function describeNewest({ count, by }: NonNullable<Rules["newest"]>): string {
  return `newest: ${count}, by: ${by}`;
}

function decide(tags: readonly ListedTag[], judge: (tag: ListedTag) => Omit<Explained, "tag">): Selected {
  const judged = tags.map((listed) => ({ listed, ...judge(listed) }));
  return {
    kept: judged.filter(({ kept }) => kept).map(({ listed }) => listed),
    explained: judged.map(({ listed, kept, rule }) => ({ tag: listed.tag, kept, rule })),
  };
}

/** A tag without a date is kept, because it is not known to be old. */
function keepSince({ sinceMs }: Rules, dated: readonly ListedTag[], now: Date): Selected {
  if (sinceMs === undefined) return { kept: dated, explained: [] };
  const oldestMs = now.getTime() - sinceMs;
  const oldest = new Date(oldestMs).toISOString();
  return decide(dated, ({ pushedAt }) => ({
    // an invalid date counts as no date
    kept: pushedAt === undefined || !(Date.parse(pushedAt) < oldestMs),
    rule: `since: pushed ${pushedAt ?? "at an unknown time"}, the limit is ${oldest}`,
  }));
}

/** Keeps the newest of each variant: `newest: 3` keeps three tags with `-alpine` and three without a suffix. */
function keepNewest({ newest }: Rules, tags: readonly ListedTag[]): Selected {
  if (!newest) return { kept: tags, explained: [] };
  const groups = Map.groupBy(tags, (listed) => groupOf(listed, newest.by));
  const best = new Set(
    [...groups].flatMap(([variant, group]) =>
      variant === undefined ? [] : group.toSorted(newerFirst(newest.by)).slice(0, newest.count),
    ),
  );
  return decide(tags, (listed) => ({
    kept: best.has(listed),
    rule:
      groupOf(listed, newest.by) === undefined
        ? `${describeNewest(newest)}: it is not a version`
        : describeNewest(newest),
  }));
}

/** undefined: the tag cannot be compared, so it is not among the newest. */
function groupOf({ tag, pushedAt }: ListedTag, by: "semver" | "pushed" | "name"): string | undefined {
  const version = parseVersion(tag);
  if (by === "semver") return version?.variant;
  if (by === "pushed" && timeOf(pushedAt) === undefined) return undefined;
  return version?.variant ?? "";
}

function newerFirst(by: "semver" | "pushed" | "name"): (one: ListedTag, other: ListedTag) => number {
  switch (by) {
    case "semver":
      return (one, other) => compareVersions(versionOf(one), versionOf(other)) || compareNames(one, other);
    case "pushed":
      return (one, other) =>
        (timeOf(other.pushedAt) ?? 0) - (timeOf(one.pushedAt) ?? 0) || compareNames(one, other);
    case "name":
      return compareNames;
  }
}

/** Made when tags are compared: that takes 6 ms, as long as one tag does. */
let natural: Intl.Collator | undefined;

/** Sorts `build-10` as newer than `build-9`. */
function compareNames(one: ListedTag, other: ListedTag): number {
  natural ??= new Intl.Collator("en", { numeric: true });
  return natural.compare(other.tag, one.tag);
}

/** Registries write dates with different time zones and precision, so they are compared as times and not as text. */
function timeOf(date: string | undefined): number | undefined {
  const time = Date.parse(date ?? "");
  return Number.isNaN(time) ? undefined : time;
}

function versionOf({ tag }: ListedTag): Version {
  return parseVersion(tag) ?? { numbers: [], variant: "" };
}
