import type { Writable } from "node:stream";

import { type Logger, pino } from "pino";

import { CodedError, printable } from "./error.ts";
import type { LogLevel } from "./log-level.ts";
import { type LogRecord, prettyLine } from "./pretty.ts";
import { redact } from "./redact.ts";

/** What the program writes about itself, to stderr. Results go to stdout and are no log. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error" | "child">;

export type LogOptions = {
  readonly level: LogLevel;
  readonly format: "pretty" | "json";
  readonly destination: Writable & { readonly isTTY?: boolean };
  /** Secrets that are known by now, asked for at each line: none of them is written, wherever it stands. */
  readonly secrets?: () => readonly string[];
};

/** One line a record, secrets redacted and control characters escaped here, whatever the caller wrote. */
export function openLog({ level, format, destination, secrets = () => [] }: LogOptions): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => serializeError(error) },
    },
    {
      write(line: string) {
        const record = redact(JSON.parse(line), secrets()) as LogRecord;
        destination.write(format === "json" ? jsonLine(record) : prettyLine(record, { stream: destination }));
      },
    },
  );
}

/** JSON leaves bidi and upper control characters as they are: a terminal obeys those too. */
function jsonLine(record: LogRecord): string {
  return `${printable(JSON.stringify(record), { maxLength: Number.POSITIVE_INFINITY })}\n`;
}

/** How far causes are followed: deeper ones say nothing new, and a circle has no end. */
const CAUSES_MAX = 8;

/** A failure with its code and facts, and what caused it; never a stack trace. */
function serializeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return printable(String(error));
  const cause =
    error.cause === undefined || depth >= CAUSES_MAX ? {} : { cause: serializeError(error.cause, depth + 1) };
  const facts = error instanceof CodedError ? { code: error.code, ...error.details } : {};
  return { name: error.name, message: printable(error.message), ...facts, ...cause };
}
