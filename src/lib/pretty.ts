import { styleText } from "node:util";

import { printable } from "./error.ts";

const COLOURS = { debug: "gray", info: "green", warn: "yellow", error: "red" } as const;

/** A log record (one line of JSON) as a person reads it: time, level, message, facts. */
export function prettyLine(line: string, { colours }: { readonly colours: boolean }): string {
  const { time, level, msg, ...facts } = JSON.parse(line) as {
    time: string;
    level: string;
    msg?: string;
  } & Record<string, unknown>;
  const colour = level in COLOURS ? COLOURS[level as keyof typeof COLOURS] : "gray";
  const label = level.toUpperCase().padEnd(5);
  const said = Object.entries(facts).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return `${[time.slice(11, 19), colours ? styleText(colour, label, { validateStream: false }) : label, printable(msg ?? ""), ...said.map((one) => printable(one))].join("  ")}\n`;
}
