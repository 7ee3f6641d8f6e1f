import type { z } from "zod";

import type { ErrorCode } from "../../errors/codes.ts";
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
    .filter((issue) => issue.code !== "invalid_type" || !misspelt.has(JSON.stringify(issue.path)))
    .flatMap((issue) => problemOf(issue, [], yaml, keysAt));
}

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
      return issue.keys.map((key) => unknownKey(key, path, yaml, keysAt(path)));
    case "invalid_union":
      return unionProblem(issue, path, yaml, keysAt);
    case "invalid_type":
      return [typeProblem(issue.expected, found, path, name, yaml)];
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

function unknownKey(key: string, path: Path, yaml: YamlFile, known: readonly string[]): Problem {
  const near = closest(key, known);
  return yaml.problem([...path, key], "CONFIG_UNKNOWN_KEY", `"${key}" is not a key of ${keyName(path)}`, {
    key: true,
    found: key,
    allowed: known.join(", "),
    next:
      near === undefined
        ? "Remove it, or use a key that is allowed; docs/config.md describes all keys."
        : `Did you mean "${near}"?`,
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
      next: adviceFor(found, path, allowed.includes("text"), yaml),
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

function typeProblem(expected: string, found: unknown, path: Path, name: string, yaml: YamlFile): Problem {
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
    next: adviceFor(found, path, expected === "string", yaml),
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
      { found: "nothing", allowed },
    );
  if (path.at(-1) === "version" && path.length === 1)
    return yaml.problem(
      path,
      "CONFIG_VERSION",
      `version ${shownValue(found)} cannot be read by this Tagferry`,
      {
        found: shownValue(found),
        allowed,
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
  });
}

const DURATION_KEYS = new Set(["since", "grace", "jitter"]);

/** Advice about a value of the wrong type. */
function adviceFor(found: unknown, path: Path, textIsAllowed: boolean, yaml: YamlFile): string | undefined {
  const key = String(path.at(-1));
  if (found === null) return "Write a value, or remove the key.";
  if (path.length === 0)
    return "Write a map with the keys `version` and `mirrors`; `tagferry init` writes a first file.";
  if (found === "yes" || found === "no" || found === "on" || found === "off") return "Write true or false.";
  if (!textIsAllowed) return undefined;
  if (typeof found === "number" && DURATION_KEYS.has(key))
    return `Write its unit too: ${["s", "m", "h", "d"].map((unit) => `${found}${unit}`).join(", ")}.`;
  if (typeof found === "number" && key === "listen") return `Write the address too: 127.0.0.1:${found}.`;
  // YAML reads 1.10 as a number and drops the zero
  if (typeof found === "number")
    return `Quote it if you mean text: "${writtenAt(path, yaml)}" (YAML reads 1.10 as the number 1.1).`;
  return typeof found === "boolean" ? `Quote it if you mean text: "${found}".` : undefined;
}

/** A value as the file writes it: 1.10, and not 1.1. */
function writtenAt(path: Path, yaml: YamlFile): string {
  const { line, column } = yaml.placeOf(path);
  const rest = (yaml.text.split(/\r?\n/)[line - 1] ?? "").slice(column - 1);
  return /^[\w.+-]+/.exec(rest)?.[0] ?? String(valueAt(yaml.value, path));
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

/** The known word that is closest to a misspelled word; undefined when none is close. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((one) => ({ one, distance: distance(word.toLowerCase(), one.toLowerCase()) }))
    .toSorted((left, right) => left.distance - right.distance);
  const [best] = ranked;
  return best && best.distance <= Math.max(1, Math.floor(word.length / 3)) ? best.one : undefined;
}

/** The Levenshtein distance. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, position) => position);
  for (const [line, left] of one.split("").entries()) {
    const next = [line + 1];
    for (const [column, right] of other.split("").entries())
      next.push(
        Math.min(
          (row[column + 1] ?? 0) + 1,
          (next[column] ?? 0) + 1,
          (row[column] ?? 0) + (left === right ? 0 : 1),
        ),
      );
    row = next;
  }
  return row.at(-1) ?? 0;
}
