import { styleText } from "node:util";

import { printable } from "./error.ts";

/** One parsed line of the log. A fact may have the same name as one of our fields, and any type. */
export type LogRecord = Readonly<Record<string, unknown>>;

const COLOURS = { debug: "gray", info: "green", warn: "yellow", error: "red" } as const;

/** A log record as one line for people: time, level, message, facts. With colors if `stream` supports them. */
export function prettyLine(
  { time, level: given, msg, ...facts }: LogRecord,
  { stream }: { readonly stream: NodeJS.WritableStream },
): string {
  const level = valueOf(given);
  const colour = level in COLOURS ? COLOURS[level as keyof typeof COLOURS] : "gray";
  const said = Object.entries(facts).map(([name, value]) => `${oneLine(name)}=${valueOf(value)}`);
  return `${[
    valueOf(time).slice(11, 19),
    styleText(colour, level.toUpperCase().padEnd(5), { stream }),
    ...(msg === undefined ? [] : [valueOf(msg)]),
    ...said,
  ].join("  ")}\n`;
}

function valueOf(value: unknown): string {
  return oneLine(typeof value === "string" ? value : JSON.stringify(value));
}

/** Puts text from outside on one line. Otherwise a registry could write lines that look like our own. */
export function oneLine(text: string, options: { readonly maxLength?: number } = {}): string {
  return printable(text, options).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
