import { styleText } from "node:util";

import { printable } from "./error.ts";

/** One line of the log, parsed. A fact may bear the name of a field of ours, and be anything. */
export type LogRecord = Readonly<Record<string, unknown>>;

const COLOURS = { debug: "gray", info: "green", warn: "yellow", error: "red" } as const;

/** A log record as a person reads it, in one line: time, level, message, facts. Coloured where `stream` shows colours. */
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

/** Text from outside within one line: a line break of its own would let a registry write lines as if they were ours. */
export function oneLine(text: string, options: { readonly maxLength?: number } = {}): string {
  return printable(text, options).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
