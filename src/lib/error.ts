/** The facts of a failure: JSON-safe, for the log and `-o json`. No secrets. */
export type Details = Readonly<Record<string, unknown>>;

/** An error with facts and a stable code that scripts can use. The codes are in `errors`. */
export class CodedError extends Error {
  readonly code: string;
  readonly details: Details;

  constructor(
    code: string,
    message: string,
    { cause, ...details }: Details & { readonly cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
    this.details = details;
  }
}

/** Makes text from outside safe to print: escapes control and bidi characters, and limits the length. */
export function printable(text: string, { maxLength = 2_000 }: { readonly maxLength?: number } = {}): string {
  const safe = text.replaceAll(
    // oxlint-disable-next-line no-control-regex -- these must not be sent to a terminal
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return safe.length > maxLength ? `${safe.slice(0, maxLength)}…` : safe;
}
