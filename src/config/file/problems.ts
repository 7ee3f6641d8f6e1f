import { ERROR_CODES, type ErrorCode } from "../../errors/codes.ts";
import { isTagferryError, type TagferryError } from "../../errors/error.ts";
import { printable } from "../../lib/error.ts";
import { maskSecrets } from "./mask-secrets.ts";

/** One problem of the file, with its position. */
export type Problem = {
  readonly code: ErrorCode;
  readonly message: string;
  /** `file:line:column`; both numbers start at 1. */
  readonly where: string;
  readonly line: number;
  readonly column: number;
  readonly found?: unknown;
  readonly allowed?: unknown;
  readonly next: string;
};

type ProblemsError = TagferryError & {
  readonly details: { readonly file: string; readonly problems: readonly Problem[] };
};

export function isProblems(error: unknown): error is ProblemsError {
  return isTagferryError(error, "CONFIG_INVALID") && Array.isArray(error.details["problems"]);
}

/** All problems with their lines, each with a caret below its position. Secrets in the lines are masked. */
export function renderProblems(problems: readonly Problem[], text: string): string {
  const lines = text.split(/\r?\n/);
  return problems.map((problem) => renderProblem(problem, lines[problem.line - 1])).join("\n\n");
}

function renderProblem(
  { code, message, where, column, found, allowed, next }: Problem,
  line: string | undefined,
): string {
  const shown = line === undefined || code === "CONFIG_INLINE_SECRET" ? [] : excerpt(line, column);
  const facts = [
    ["found", found],
    ["allowed", allowed],
    ["next", next],
  ].flatMap(([name, value]) =>
    value === undefined
      ? []
      : [
          `  ${String(name).padEnd(8)} ${printable(typeof value === "string" ? value : JSON.stringify(value), { maxLength: 600 })}`,
        ],
  );
  return [`${where}  ${code}  ${printable(message)}`, ...shown, ...facts].join("\n");
}

function excerpt(line: string, column: number): string[] {
  const start = column > 90 ? column - 60 : 0;
  return [
    `    ${printable(maskSecrets(line).slice(start, start + 100))}`,
    `    ${" ".repeat(Math.max(0, column - 1 - start))}^`,
  ];
}

export function adviceOf(code: ErrorCode): string {
  return ERROR_CODES[code].next;
}
