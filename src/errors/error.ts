import { CodedError, type Details, printable } from "../lib/error.ts";
import { redact } from "../lib/redact.ts";
import { ERROR_CODES, type ErrorCode } from "./codes.ts";
import type { CodeFacts } from "./facts.ts";

/**
 * The one error of this program.
 *
 * The message says operation and subject; `details` holds the facts. Details that a person reads have fixed names:
 * `where` (file:line:col, or registry/repository:tag), `found`, `allowed`, `next` (overrides the code's own advice).
 * A registry's `retryAt` is an ISO date.
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

/** Everything thrown becomes a TagferryError here: an abort stays one, a bug is called a bug. */
export function asTagferryError(error: unknown): TagferryError {
  if (error instanceof TagferryError) return error;
  // closing failed too, mostly for the same reason: what happened first is what a person needs
  if (error instanceof SuppressedError) return asTagferryError(error.suppressed);
  if (error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError"))
    return new TagferryError("ABORTED", "stopped", { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new TagferryError("INTERNAL", `unexpected: ${message}`, { cause: error });
}

/** A failure as a plain record: what an Outcome holds and `-o json` prints. */
export type Failure = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly next: string;
  readonly details: Details;
};

/** Without secrets: what a registry says of us is in there. */
export function failureOf(error: unknown): Failure {
  const { code, message, details } = asTagferryError(error);
  const { next = ERROR_CODES[code].next, ...others } = details;
  return {
    code,
    message: printable(String(redact(message))),
    next: String(next),
    details: redact(others) as Details,
  };
}
