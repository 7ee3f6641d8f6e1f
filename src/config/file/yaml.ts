import {
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  stringify,
  visit,
} from "yaml";

import type { ErrorCode } from "../../errors/codes.ts";
import { TagferryError } from "../../errors/error.ts";
import { maskSecrets } from "./mask-secrets.ts";
import type { Problem } from "./problems.ts";
import { adviceOf } from "./problems.ts";

export type Path = readonly (string | number)[];
export type Position = { readonly line: number; readonly column: number };

/** A YAML file as plain values, with the position of each value. */
export type YamlFile = {
  readonly file: string;
  readonly text: string;
  readonly value: unknown;
  /** The position of the value at a path (with `key`, of its key). If it does not exist, the nearest position. */
  placeOf(path: Path, options?: { readonly key?: boolean }): Position;
  /** Builds a problem at a path. */
  problem(path: Path, code: ErrorCode, message: string, facts?: ProblemFacts): Problem;
};

export type ProblemFacts = {
  readonly found?: unknown;
  readonly allowed?: unknown;
  readonly next?: string | undefined;
  readonly key?: boolean;
};

const DEPTH_MAX = 32;
const RESERVED = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Reads YAML strictly: one document, no anchors, aliases or merge keys, no duplicate keys, at most 32 levels.
 *
 * @throws {TagferryError} CONFIG_SYNTAX, CONFIG_MULTIPLE_DOCUMENTS, CONFIG_EMPTY, or CONFIG_INVALID with problems
 */
export function readYaml(
  file: string,
  text: string,
): { readonly yaml: YamlFile; readonly problems: readonly Problem[] } {
  const counter = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: counter,
    uniqueKeys: false,
    merge: false,
    version: "1.2",
  });
  const list = Array.isArray(documents) ? documents : [];
  const at = (offset: number): Position => {
    const { line, col } = counter.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const [document, second] = list;
  if (!document || (document.contents === null && list.length === 1))
    throw new TagferryError("CONFIG_EMPTY", `${file} is empty`, { where: file });
  const [error] = document.errors;
  if (error) {
    const { line, column } = at(error.pos[0]);
    throw new TagferryError("CONFIG_SYNTAX", `${file} is not YAML: ${messageOf(error)}`, {
      where: `${file}:${line}:${column}`,
      found: maskSecrets(text.split(/\r?\n/)[line - 1] ?? "").trimEnd(),
      ...adviceOnSyntax(error, text, line),
    });
  }
  if (second) {
    const { line, column } = at(second.range[0]);
    throw new TagferryError("CONFIG_MULTIPLE_DOCUMENTS", `${file} contains ${list.length} documents`, {
      where: `${file}:${line}:${column}`,
      found: list.length,
      allowed: 1,
    });
  }
  const problemAt = (
    offset: number,
    code: ErrorCode,
    message: string,
    { found, allowed, next }: ProblemFacts = {},
  ): Problem => {
    const { line, column } = at(offset);
    return {
      code,
      message,
      where: `${file}:${line}:${column}`,
      line,
      column,
      ...defined({ found, allowed }),
      next: next ?? adviceOf(code),
    };
  };
  const problems = structure(document.contents, problemAt, at);
  const placeOf: YamlFile["placeOf"] = (path, { key = false } = {}) =>
    at(offsetOf(document.contents, path, key));
  const yaml: YamlFile = {
    file,
    text,
    // aliases are refused, so the value cannot expand
    value: problems.length > 0 ? undefined : document.toJS({ maxAliasCount: 0 }),
    placeOf,
    problem(path, code, message, facts = {}) {
      return problemAt(offsetOf(document.contents, path, facts.key ?? false), code, message, facts);
    },
  };
  return { yaml, problems };
}

/**
 * The parser's message, without the position (reported separately) and without the quoted text, which may be a secret.
 */
function messageOf({ message }: Error): string {
  return (message.split("\n")[0] ?? "")
    .replace(/ at line \d+, column \d+:?$/, "")
    .replace(/(?<= in YAML stream| token): ".*"$/, "");
}

/** Advice on the mistakes that people make. The parser notices an open quote only at the end of the file. */
function adviceOnSyntax({ message }: Error, text: string, at: number): { readonly next?: string } {
  const lines = text.split(/\r?\n/);
  const [, quote] = /^Missing closing (["'])/.exec(message) ?? [];
  if (quote !== undefined) {
    const line = lines.findIndex((one) => one.split(quote).length % 2 === 0) + 1;
    return { next: `Close the quote ${quote}${line === 0 ? "" : ` that begins on line ${line}`}.` };
  }
  const [, bracket] = /end with a ([\]}])/.exec(message) ?? [];
  if (bracket !== undefined)
    return { next: `Write the missing ${bracket} in front of this line, where the list or map ends.` };
  if (message.startsWith("Tabs are not allowed"))
    return { next: `Replace the tabs at the start of line ${at} by spaces.` };
  if (message.startsWith("Sequence item without - indicator"))
    return { next: `Indent line ${at} exactly as far as the keys above it.` };
  if (/(?:^|\s)\*\//.test(lines[at - 1] ?? ""))
    return { next: 'Quote the text that begins with *: "*/30 * * * *".' };
  return {};
}

function defined(facts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

type ProblemAt = (offset: number, code: ErrorCode, message: string, facts?: ProblemFacts) => Problem;

/** Problems of the YAML structure. */
function structure(
  root: unknown,
  problemAt: ProblemAt,
  at: (offset: number) => Position,
): readonly Problem[] {
  const problems: Problem[] = [];
  visit(root as Node, {
    Node(_, node, path) {
      const offset = node.range?.[0] ?? 0;
      if (path.filter(isCollection).length > DEPTH_MAX) {
        problems.push(problemAt(offset, "CONFIG_DEPTH", `nested deeper than ${DEPTH_MAX} levels`));
        return visit.BREAK;
      }
      if (isAlias(node)) problems.push(problemAt(offset, "CONFIG_ALIAS", `*${node.source} is an alias`));
      else if (node.anchor !== undefined)
        problems.push(problemAt(offset, "CONFIG_ALIAS", `&${node.anchor} is an anchor`));
      if (!isMap(node)) return undefined;
      const seen = new Map<string, number>();
      for (const pair of node.items) {
        if (!isPair(pair) || !isScalar(pair.key)) continue;
        const key = String(pair.key.value);
        const keyOffset = pair.key.range?.[0] ?? offset;
        const before = seen.get(key);
        if (key === "<<") problems.push(problemAt(keyOffset, "CONFIG_ALIAS", "<< is a merge key"));
        else if (RESERVED.has(key))
          problems.push(problemAt(keyOffset, "CONFIG_RESERVED_KEY", `"${key}" is not allowed as a key`));
        else if (before !== undefined)
          problems.push(
            problemAt(
              keyOffset,
              "CONFIG_DUPLICATE_KEY",
              `"${key}" occurs twice, first on line ${at(before).line}`,
              { found: key },
            ),
          );
        else seen.set(key, keyOffset);
      }
      return undefined;
    },
  });
  return problems;
}

function offsetOf(root: unknown, path: Path, key: boolean): number {
  let node: unknown = root;
  let offset = (root as Node | null)?.range?.[0] ?? 0;
  for (const [position, part] of path.entries()) {
    const last = position === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (!pair) return offset;
      const keyOffset = (pair.key as Node).range?.[0] ?? offset;
      const value = pair.value as Node | null;
      offset = last && key ? keyOffset : (value?.range?.[0] ?? keyOffset);
      node = value;
    } else {
      const items = (node as { readonly items?: readonly unknown[] } | null)?.items;
      const item = items?.[Number(part)] as Node | undefined;
      if (!item) return offset;
      offset = item.range?.[0] ?? offset;
      node = item;
    }
  }
  return offset;
}

/** Writes YAML for `-o yaml`. */
export function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0 });
}
