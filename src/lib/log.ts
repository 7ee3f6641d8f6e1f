import type { Writable } from "node:stream";

import { type Logger, pino } from "pino";

import { CodedError, printable } from "./error.ts";
import type { LogLevel } from "./log-level.ts";
import { type LogRecord, prettyLine } from "./pretty.ts";
import { redact } from "./redact.ts";

/** The log of the program, on stderr. Results go to stdout and are not part of the log. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error" | "child">;

export type LogOptions = {
  readonly level: LogLevel;
  readonly format: "pretty" | "json";
  readonly destination: Writable & { readonly isTTY?: boolean };
  /** Called for each line: the currently known secrets. None of them is written, whatever field it is in. */
  readonly secrets?: () => readonly string[];
};

/** One line per record. Secrets are redacted and control characters are escaped here, whatever the caller wrote. */
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

/** JSON does not escape bidi and C1 control characters, but terminals interpret them. */
function jsonLine(record: LogRecord): string {
  return `${printable(JSON.stringify(record), { maxLength: Number.POSITIVE_INFINITY })}\n`;
}

/** How many levels of causes are logged. This also ends a circular chain. */
const CAUSES_MAX = 8;

/** A failure with its code, facts and causes; never a stack trace. */
function serializeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return printable(String(error));
  const cause =
    error.cause === undefined || depth >= CAUSES_MAX ? {} : { cause: serializeError(error.cause, depth + 1) };
  const facts = error instanceof CodedError ? { code: error.code, ...error.details } : {};
  return { name: error.name, message: printable(error.message), ...facts, ...cause };
}
