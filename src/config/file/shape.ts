import type { z } from "zod";

import type { ErrorCode } from "../../errors/codes.ts";
import { adviceOnKey, adviceOnType } from "./advice.ts";
import { closest } from "./closest.ts";
import { isSecretPath } from "./mask-secrets.ts";
import type { Problem } from "./problems.ts";
import type { Path, YamlFile } from "./yaml.ts";

type Issue = z.core.$ZodIssue;

/**
 * Converts zod's issues to problems with positions and with our messages. `keysAt` gives the allowed keys at a path.
 */
export function problemsOfShape(
  issues: readonly Issue[],
  yaml: YamlFile,
  keysAt: (path: Path) => readonly string[],
): readonly Problem[] {
  const misspelt = new Set(issues.flatMap((issue) => meantKeys(issue, keysAt)));
  return issues
    .filter(({ code, path }) => !MISSING.has(code) || !misspelt.has(JSON.stringify(path)))
    .flatMap((issue) => problemOf(issue, [], yaml, keysAt));
}

/** What zod says of a key that is missing. */
const MISSING: ReadonlySet<string> = new Set(["invalid_type", "invalid_value"] satisfies Issue["code"][]);

/** The paths of keys that were probably meant by misspelt ones. That they are missing is the same problem. */
function meantKeys(issue: Issue, keysAt: (path: Path) => readonly string[]): string[] {
  if (issue.code !== "unrecognized_keys") return [];
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  return issue.keys.flatMap((key) => {
    const near = closest(key, keysAt(path));
    return near === undefined ? [] : [JSON.stringify([...path, near])];
  });
}

function problemOf(
  issue: Issue,
  base: Path,
  yaml: YamlFile,
  keysAt: (path: Path) => readonly string[],
): readonly Problem[] {
  const path: Path = [...base, ...issue.path.map((part) => (typeof part === "symbol" ? String(part) : part))];
  const found = printableValue(valueAt(yaml.value, path), path);
  const name = keyName(path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey(key, path, yaml, keysAt));
    case "invalid_union":
      return unionProblem(issue, path, yaml, keysAt);
    case "invalid_type":
      return [typeProblem(issue.expected, found, path, yaml, keysAt)];
    case "invalid_value":
      return [valueProblem(issue.values, found, path, name, yaml)];
    case "too_small":
    case "too_big":
      return [sizeProblem(issue, found, path, name, yaml)];
    case "custom":
    case "invalid_element":
    case "invalid_format":
    case "invalid_key":
    case "not_multiple_of":
      return [yaml.problem(path, "CONFIG_TYPE", `${name}: ${issue.message}`, { found: shownValue(found) })];
  }
}

function unknownKey(
  key: string,
  path: Path,
  yaml: YamlFile,
  keysAt: (path: Path) => readonly string[],
): Problem {
  const known = keysAt(path);
  return yaml.problem([...path, key], "CONFIG_UNKNOWN_KEY", `"${key}" is not a key of ${keyName(path)}`, {
    key: true,
    found: key,
    allowed: known.join(", "),
    next: adviceOnKey(key, path, keysAt),
  });
}

/** Of several allowed shapes, takes the one with the value's type: the author probably meant this one. */
function unionProblem(
  issue: Extract<Issue, { code: "invalid_union" }>,
  path: Path,
  yaml: YamlFile,
  keysAt: (path: Path) => readonly string[],
): readonly Problem[] {
  const found = printableValue(valueAt(yaml.value, path), path);
  const fitting = issue.errors.find(
    (errors) => !errors.some((error) => error.path.length === 0 && error.code === "invalid_type"),
  );
  if (fitting) return fitting.flatMap((error) => problemOf(error, path, yaml, keysAt));
  const allowed = issue.errors.flatMap((errors) =>
    errors.flatMap((error) =>
      error.code === "invalid_type" ? [WORDS[error.expected] ?? error.expected] : [],
    ),
  );
  return [
    yaml.problem(path, "CONFIG_TYPE", `${keyName(path)} has the wrong type`, {
      found: shownValue(found),
      allowed: [...new Set(allowed)].join(" or "),
      next: adviceOnType(found, path, allowed, yaml, keysAt(path)),
    }),
  ];
}

const WORDS: Readonly<Record<string, string>> = {
  array: "a list",
  object: "a map",
  record: "a map",
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};

function typeProblem(
  expected: string,
  found: unknown,
  path: Path,
  yaml: YamlFile,
  keysAt: (path: Path) => readonly string[],
): Problem {
  const name = keyName(path);
  if (found === undefined)
    return yaml.problem(path.slice(0, -1), "CONFIG_TYPE", `${name} is missing`, {
      allowed: WORDS[expected] ?? expected,
      found: "nothing",
      next: `Add the key \`${String(path.at(-1))}:\` here.`,
    });
  const code: ErrorCode =
    ["number", "int"].includes(expected) && typeof found === "number" ? "CONFIG_RANGE" : "CONFIG_TYPE";
  return yaml.problem(path, code, `${name} has the wrong type`, {
    found: shownValue(found),
    allowed: WORDS[expected] ?? expected,
    next: adviceOnType(found, path, [WORDS[expected] ?? expected], yaml, keysAt(path)),
  });
}

function valueProblem(
  values: readonly unknown[],
  found: unknown,
  path: Path,
  name: string,
  yaml: YamlFile,
): Problem {
  const allowed = values.map(String).join(", ");
  if (found === undefined)
    return yaml.problem(
      path.slice(0, -1),
      path.at(-1) === "version" ? "CONFIG_VERSION" : "CONFIG_TYPE",
      `${name} is missing`,
      { found: "nothing", allowed, next: `Add the line \`${String(path.at(-1))}: ${allowed}\`.` },
    );
  if (path.at(-1) === "version" && path.length === 1)
    return yaml.problem(
      path,
      "CONFIG_VERSION",
      `version ${shownValue(found)} cannot be read by this Tagferry`,
      {
        found: shownValue(found),
        allowed,
        next: found === allowed ? `Write \`version: ${allowed}\`, without quotes.` : undefined,
      },
    );
  const near = typeof found === "string" ? closest(found, values.map(String)) : undefined;
  return yaml.problem(path, "CONFIG_TYPE", `${name} is not one of the allowed values`, {
    found: shownValue(found),
    allowed,
    next: near === undefined ? `Write one of: ${allowed}.` : `Did you mean "${near}"?`,
  });
}

function sizeProblem(
  issue: Extract<Issue, { code: "too_small" | "too_big" }>,
  found: unknown,
  path: Path,
  name: string,
  yaml: YamlFile,
): Problem {
  const bound =
    issue.code === "too_small" ? `at least ${String(issue.minimum)}` : `at most ${String(issue.maximum)}`;
  if (issue.origin === "array")
    return yaml.problem(path, "CONFIG_TYPE", `${name} is empty`, {
      found: "an empty list",
      allowed: "at least one item",
      next:
        path.at(-1) === "mirrors"
          ? "Write a first mirror: source, target and tags. `tagferry init` writes an example."
          : path.at(-1) === "tags"
            ? 'Write at least one tag, such as [latest], or rules, such as {semver: ">=1.27"}.'
            : `Write at least one item, or remove ${String(path.at(-1))}.`,
    });
  if (issue.origin === "string")
    return yaml.problem(path, "CONFIG_TYPE", `${name} is empty`, {
      found: shownValue(found),
      allowed: "some text",
      next: "Write a value, or remove the key.",
    });
  return yaml.problem(path, "CONFIG_RANGE", `${name} is out of range`, {
    found: shownValue(found),
    allowed: bound,
    next: `Write a number of ${bound}.`,
  });
}

/** Replaces a value that is a secret, or was intended as one. */
const HIDDEN = Symbol("hidden");

function printableValue(value: unknown, path: Path): unknown {
  const isScalar = typeof value === "string" || typeof value === "number";
  return isScalar && value !== "" && isSecretPath(path) ? HIDDEN : value;
}

export function shownValue(value: unknown): string {
  if (value === HIDDEN) return "something that is not shown here";
  if (value === undefined) return "nothing";
  if (value === null) return "nothing (null)";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  return JSON.stringify(value);
}

export function keyName(path: Path): string {
  if (path.length === 0) return "the file";
  return path
    .map((part, position) => (typeof part === "number" ? `[${part}]` : position === 0 ? part : `.${part}`))
    .join("");
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (node, part) =>
      typeof node === "object" && node !== null
        ? (node as Record<string | number, unknown>)[part]
        : undefined,
    value,
  );
}
