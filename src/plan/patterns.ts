import picomatch from "picomatch";
import { RE2JS } from "re2js";
import semver from "semver";

import type { Config, TagMatcher, TagRules } from "../config/config.ts";
import type { ErrorCode } from "../errors/codes.ts";
import { isTagferryError, TagferryError } from "../errors/error.ts";
import { inRange, parseVersion } from "./version.ts";

export type TagTest = (tag: string) => boolean;

const REGEX_MAX_LENGTH = 1000;
/** Syntax that RE2 does not support because it needs more than linear time. */
const NOT_LINEAR = /\(\?(?:[=!]|<[=!])|\\[1-9]|\(\?P=/;

/** Compiles a matcher to a test for tags. @throws {TagferryError} CONFIG_FILTER, CONFIG_REGEX, CONFIG_REGEX_UNSAFE */
export function compileMatcher(matcher: TagMatcher): TagTest {
  switch (matcher.kind) {
    case "all":
      return () => true;
    case "exact":
      return (tag) => tag === matcher.tag;
    case "glob":
      return compileGlob(matcher.glob);
    case "regex":
      return compileRegex(matcher.regex);
    case "semver":
      return compileRange(matcher.range);
  }
}

/** A matcher in the format of the configuration, for --explain. */
export function describeMatcher(matcher: TagMatcher): string {
  switch (matcher.kind) {
    case "all":
      return "all: true";
    case "exact":
      return `exact: ${matcher.tag}`;
    case "glob":
      return `glob: "${matcher.glob}"`;
    case "regex":
      return `regex: "${matcher.regex}"`;
    case "semver":
      return `semver: "${matcher.range}"`;
  }
}

export function compileGlob(glob: string): TagTest {
  const bad = (why: string): TagferryError =>
    new TagferryError("CONFIG_FILTER", `the glob "${glob}" is not valid: ${why}`, {
      found: glob,
      allowed: "* ? [a-z] {a,b}",
    });
  if (glob === "") throw bad("it is empty");
  if (glob.length > REGEX_MAX_LENGTH) throw bad("it is too long");
  if (/[^\w.\-*?[\]{},!^]/.test(glob)) throw bad("no tag has such a character");
  if (unbalanced(glob, "[", "]") || unbalanced(glob, "{", "}")) throw bad("a bracket is not closed");
  const { source } = picomatch.makeRe(glob.replaceAll(/\*{2,}/g, "*").replaceAll("[!", "[^"), {
    dot: true,
    nonegate: true,
    noextglob: true,
  });
  if (source === MATCHES_NOTHING) throw bad("it can match nothing");
  try {
    const compiled = RE2JS.compile(
      NEEDLESS_FOR_TAGS.reduce((text, part) => text.replaceAll(part, ""), source),
    );
    return (tag) => compiled.matches(tag);
  } catch (cause) {
    throw bad(cause instanceof Error ? cause.message : String(cause));
  }
}

/** The result of picomatch for an invalid glob such as `[z-a]`. */
const MATCHES_NOTHING = "$^";
/**
 * The lookaheads that picomatch adds so that stars do not match `.`, `..` and empty text. None of these is a tag.
 * Without them RE2 can run the pattern. A JavaScript regular expression could need hours for a dozen stars.
 */
const NEEDLESS_FOR_TAGS = ["(?!(?:^|\\/)\\.{1,2}(?:\\/|$))", "(?!\\.{1,2}(?:\\/|$))", "(?=.)"];

function unbalanced(text: string, open: string, close: string): boolean {
  return text.split(open).length !== text.split(close).length;
}

/** Compiles a regular expression that must match the whole tag. It always runs in linear time. */
export function compileRegex(regex: string): TagTest {
  if (regex.length > REGEX_MAX_LENGTH)
    throw new TagferryError(
      "CONFIG_REGEX_UNSAFE",
      `the regular expression is longer than ${REGEX_MAX_LENGTH} characters`,
      {
        found: `${regex.slice(0, 60)}…`,
        allowed: `${REGEX_MAX_LENGTH} characters`,
      },
    );
  try {
    const compiled = RE2JS.compile(regex);
    return (tag) => compiled.matches(tag);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    if (NOT_LINEAR.test(regex))
      throw new TagferryError(
        "CONFIG_REGEX_UNSAFE",
        `the regular expression "${regex}" does not run in linear time`,
        {
          cause,
          found: message,
          allowed: "RE2 syntax: no lookahead, no lookbehind, no backreferences",
        },
      );
    throw new TagferryError("CONFIG_REGEX", `the regular expression "${regex}" is not valid`, {
      cause,
      found: `${message}${positionOf(regex, message)}`,
      allowed: "RE2 syntax",
    });
  }
}

/** RE2 quotes the part with the error. */
function positionOf(regex: string, message: string): string {
  const piece = /`([^`]+)`/.exec(message)?.[1];
  const at = piece === undefined ? -1 : regex.indexOf(piece);
  return at === -1 ? "" : ` (at character ${at + 1})`;
}

export function compileRange(range: string): TagTest {
  let parsed: semver.Range;
  try {
    parsed = new semver.Range(range, { loose: false });
  } catch (cause) {
    throw new TagferryError("CONFIG_FILTER", `"${range}" is not a semver range`, {
      cause,
      found: range,
      allowed: 'such as ">=1.25 <2", "^1.27", "~3.11", "1.x"',
      next: 'Write a range of versions, such as ">=1.25 <2". For other tags, write `glob` or `regex`.',
    });
  }
  return (tag) => {
    const version = parseVersion(tag);
    return version !== undefined && inRange(version, parsed);
  };
}

/** A problem of the configuration that only this layer can detect. `path` leads to the value in the file. */
export type RuleProblem = {
  readonly path: readonly (string | number)[];
  readonly value: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly found?: unknown;
  readonly allowed?: unknown;
  readonly next?: string | undefined;
};

/** Compiles every pattern of every mirror, and returns the problems. */
export function checkTagRules(config: Pick<Config, "mirrors">): readonly RuleProblem[] {
  return config.mirrors.flatMap(({ tags }, position) =>
    tags.kind === "rules" ? problemsOf(tags, position) : [],
  );
}

function problemsOf(
  { include, exclude }: Extract<TagRules, { readonly kind: "rules" }>,
  position: number,
): RuleProblem[] {
  const at = ["mirrors", position, "tags"] as const;
  return [
    ...include.flatMap((matcher) =>
      problem([...at, matcher.kind], valueOf(matcher), () => compileMatcher(matcher)),
    ),
    ...exclude.flatMap((glob) => problem([...at, "exclude"], glob, () => compileGlob(glob))),
  ];
}

function valueOf(matcher: TagMatcher): string {
  switch (matcher.kind) {
    case "all":
      return "";
    case "exact":
      return matcher.tag;
    case "glob":
      return matcher.glob;
    case "regex":
      return matcher.regex;
    case "semver":
      return matcher.range;
  }
}

function problem(path: readonly (string | number)[], value: string, compile: () => unknown): RuleProblem[] {
  try {
    compile();
    return [];
  } catch (error) {
    if (!isTagferryError(error)) throw error;
    const { found, allowed, next } = error.details;
    const { code, message } = error;
    const advice = typeof next === "string" ? next : undefined;
    return [{ path, value, code, message, found, allowed, next: advice }];
  }
}
