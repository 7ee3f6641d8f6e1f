import { CodedError, type Details, printable } from "../lib/error.ts";
import { redact } from "../lib/redact.ts";
import { adviceWith } from "./advice.ts";
import { ERROR_CODES, type ErrorCode } from "./codes.ts";
import type { CodeFacts } from "./facts.ts";

/**
 * The error class of this program.
 *
 * The message names the operation and its subject; `details` contains the facts. Details for people have fixed names:
 * `where` (file:line:col, or registry/repository:tag), `found`, `allowed`, `next` (replaces the code's own advice).
 * `retryAt`, from a registry, is an ISO date.
 */
export class TagferryError extends CodedError {
  override readonly name = "TagferryError";
  declare readonly code: ErrorCode;

  // oxlint-disable-next-line no-useless-constructor -- narrows the type of the code
  constructor(code: ErrorCode, message: string, details: Details & { readonly cause?: unknown } = {}) {
    super(code, message, details);
  }
}

export function isTagferryError(error: unknown, ...codes: readonly ErrorCode[]): error is TagferryError {
  return error instanceof TagferryError && (codes.length === 0 || codes.includes(error.code));
}

export function facts(code: ErrorCode): CodeFacts {
  return ERROR_CODES[code];
}

/**
 * Converts everything thrown to a TagferryError. An abort stays an abort; an unexpected error becomes an internal
 * error.
 */
export function asTagferryError(error: unknown): TagferryError {
  if (error instanceof TagferryError) return error;
  // Closing failed too, usually for the same reason. The first error is the one to report.
  if (error instanceof SuppressedError) return asTagferryError(error.suppressed);
  if (error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError"))
    return new TagferryError("ABORTED", "stopped", { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new TagferryError("INTERNAL", `unexpected: ${message}`, { cause: error });
}

/** A failure as a plain record, as in an Outcome and in the output of `-o json`. */
export type Failure = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly next: string;
  readonly details: Details;
};

/** Removes secrets, because the answer of a registry may contain them. */
export function failureOf(error: unknown): Failure {
  const { code, message, details } = asTagferryError(error);
  const { next = ERROR_CODES[code].next, ...others } = details;
  return {
    code,
    message: printable(String(redact(message))),
    next: adviceWith(String(next), details),
    details: redact(others) as Details,
  };
}
