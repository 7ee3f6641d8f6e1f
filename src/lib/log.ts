import type { Writable } from "node:stream";

import { type Logger, pino } from "pino";

import { printable, SyncError } from "./error.ts";
import { prettyLine } from "./pretty.ts";

/** What the program writes about itself, to stderr. Results go to stdout and are no log. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error" | "child">;

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogOptions = {
  readonly level: LogLevel;
  readonly format: "pretty" | "json";
  readonly destination: Writable & { readonly isTTY?: boolean };
};

const SECRET_KEYS = [
  "authorization",
  "password",
  "token",
  "secret",
  "access_token",
  "refresh_token",
  "identitytoken",
];

/** One line a record, secrets redacted and control characters escaped here, whatever the caller wrote. */
export function openLog({ level, format, destination }: LogOptions): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `headers["${key}"]`]), censor: "***" },
      serializers: { err: serializeError },
    },
    {
      write(line: string) {
        const safe = withoutSecrets(line);
        destination.write(
          format === "json" ? safe : prettyLine(safe, { colours: destination.isTTY === true }),
        );
      },
    },
  );
}

/** A failure with its code and facts, and what caused it; never a stack trace. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return printable(String(error));
  const cause = error.cause === undefined ? {} : { cause: serializeError(error.cause) };
  const facts = error instanceof SyncError ? { code: error.code, ...error.details } : {};
  return { name: error.name, message: printable(error.message), ...facts, ...cause };
}

/** Users in URLs, and the queries of signed addresses. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/(\bhttps?:\/\/)[^\s/@"\\]+@/gi, "$1***@")
    .replaceAll(
      /([?&](?:X-Amz-[\w-]+|sig|Signature|token|access_token|refresh_token|password|_state|Policy|Key-Pair-Id)=)[^&\s"\\]+/gi,
      "$1***",
    )
    .replaceAll(/\b(Bearer|Basic) [A-Za-z0-9+/=._~-]{8,}/g, "$1 ***");
}
