import semver from "semver";

import type { TagMatcher, TagRules } from "../config/config.ts";
import { describeMatcher } from "./patterns.ts";
import { inRange, parseVersion, type Version } from "./version.ts";

type Near = { readonly score: number; readonly text: string };

/**
 * For a tag that no rule includes: the rule that came closest, and what is missing. undefined when no rule is close.
 */
export function closestRule(rules: TagRules, tag: string): string | undefined {
  const matchers: readonly TagMatcher[] =
    rules.kind === "exact" ? rules.tags.map((exact) => ({ kind: "exact", tag: exact })) : rules.include;
  const near = matchers.flatMap((matcher) => nearOf(matcher, tag) ?? []);
  return near.toSorted((one, other) => other.score - one.score)[0]?.text;
}

function nearOf(matcher: TagMatcher, tag: string): Near | undefined {
  const rule = describeMatcher(matcher);
  switch (matcher.kind) {
    case "semver":
      return rangeNear(matcher.range, rule, parseVersion(tag));
    case "glob":
      return prefixNear(matcher.glob.split(/[*?[{]/, 1)[0] ?? "", rule, tag);
    case "exact":
      return prefixNear(matcher.tag, rule, tag);
    case "regex":
    case "all":
      return undefined;
  }
}

function rangeNear(text: string, rule: string, version: Version | undefined): Near {
  if (!version) return { score: 0.5, text: `${rule}, but it is not a version` };
  const range = new semver.Range(text);
  const { prerelease, ...release } = version;
  if (prerelease !== undefined && inRange(release, range))
    return { score: 3, text: `${rule}, but prereleases match only a range that names one` };
  const [major = 0, minor = 0, patch = 0] = version.numbers;
  const number = `${major}.${minor}.${patch}`;
  const why = semver.gtr(number, range) ? "newer" : semver.ltr(number, range) ? "older" : "in a gap";
  return { score: 2, text: `${rule}, but it is ${why}` };
}

/** Rules that begin like the tag are near: `1.2*` and `1.3`. */
function prefixNear(prefix: string, rule: string, tag: string): Near | undefined {
  let common = 0;
  while (common < prefix.length && prefix[common] === tag[common]) common += 1;
  if (common === 0) return undefined;
  const shown = tag.slice(0, common + 1);
  return { score: 1 + common / (prefix.length + 1), text: `${rule}, but the tag begins with "${shown}"` };
}
