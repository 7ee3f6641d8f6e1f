/** A regular expression in a source file. */
export type RegExpLiteral = { readonly pattern: string; readonly flags: string; readonly line: number };

/** After these a slash begins a regular expression; after a name, a number or a closing bracket it divides. */
const BEFORE = new Set("(,=:[!&|?{};+-*%<>~^");
const WORDS_BEFORE = new Set(["return", "typeof", "case", "in", "of", "await", "yield", "void"]);

/** Every literal of a TypeScript source that has no JSX. */
export function regExpsOf(source: string): readonly RegExpLiteral[] {
  const found: RegExpLiteral[] = [];
  let last = ""; // the last significant character, or the word that it ends
  const lineAt = (at: number): number => source.slice(0, at).split("\n").length;

  /** Reads code until `end` closes it; returns where it goes on. */
  function code(from: number, end: string): number {
    let at = from;
    let depth = 0;
    while (at < source.length) {
      const char = source[at] ?? "";
      if (source.startsWith("//", at)) at = until("\n", at);
      else if (source.startsWith("/*", at)) at = source.indexOf("*/", at + 2) + 2;
      else if (char === '"' || char === "'") at = quoted(at, char);
      else if (char === "`") at = template(at + 1);
      else if (char === "/" && (last === "" || BEFORE.has(last) || WORDS_BEFORE.has(last))) at = literal(at);
      else if (char === end && depth === 0) return at + 1;
      else at = other(at);
      if (char === "{") depth += 1;
      if (char === "}") depth -= 1;
    }
    return at;
  }

  function until(text: string, from: number): number {
    const at = source.indexOf(text, from);
    return at === -1 ? source.length : at;
  }

  function other(at: number): number {
    let end = at;
    while (/[\w$]/.test(source[end] ?? "")) end += 1;
    if (end > at) last = source.slice(at, end);
    else if (!/\s/.test(source[at] ?? "")) last = source[at] ?? "";
    return Math.max(end, at + 1);
  }

  function quoted(from: number, quote: string): number {
    let at = from + 1;
    while (at < source.length && source[at] !== quote) at += source[at] === "\\" ? 2 : 1;
    last = quote;
    return at + 1;
  }

  function template(from: number): number {
    let at = from;
    while (at < source.length && source[at] !== "`") {
      if (source.startsWith("${", at)) {
        last = "{";
        at = code(at + 2, "}");
      } else at += source[at] === "\\" ? 2 : 1;
    }
    last = "`";
    return at + 1;
  }

  function literal(from: number): number {
    let at = from + 1;
    for (let inClass = false; source[at] !== "/" || inClass; at += source[at] === "\\" ? 2 : 1) {
      if (source[at] === "[") inClass = true;
      if (source[at] === "]") inClass = false;
      if (at >= source.length) throw new Error(`no end of the regular expression in line ${lineAt(from)}`);
    }
    let end = at + 1;
    while (/[a-z]/.test(source[end] ?? "")) end += 1;
    found.push({
      pattern: source.slice(from + 1, at),
      flags: source.slice(at + 1, end),
      line: lineAt(from),
    });
    last = ")";
    return end;
  }

  code(0, "");
  return found;
}
