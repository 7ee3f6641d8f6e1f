import type { Failure } from "../../errors/error.ts";
import { oneLine } from "../../lib/pretty.ts";
import type { Process } from "../process.ts";

/** A failure as text: code and message, then where, what was found, what is allowed, and what to do next. */
export function renderFailure({ code, message, next, details }: Failure): string {
  const facts = [
    ["where", details["where"]],
    ["found", details["found"]],
    ["allowed", details["allowed"]],
    ["until", details["retryAt"]],
    ["next", next],
  ] as const;
  const lines = facts.flatMap(([name, value]) => {
    const text = plain(value);
    return text === undefined || (name !== "next" && message.includes(text))
      ? []
      : [`  ${name.padEnd(8)} ${text}`];
  });
  return [`${code}  ${oneLine(message)}`, ...lines].join("\n");
}

export function printWarnings(warnings: readonly Failure[], stderr: Process["stderr"]): void {
  for (const warning of warnings) stderr.write(`warning: ${renderFailure(warning)}\n`);
}

function plain(value: unknown): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  return oneLine(typeof value === "string" ? value : JSON.stringify(value), { maxLength: 600 });
}

/** Moves a block of text two columns to the right. */
export function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
