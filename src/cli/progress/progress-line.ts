import type { Writable } from "node:stream";
import { styleText } from "node:util";

import { oneLine } from "../../lib/pretty.ts";
import { formatBytes, formatPart, formatRoughly, shorten } from "../terminal/units.ts";

export type Terminal = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** The state of one copy. */
export type ItemState = {
  /** The bytes that are known so far. 0: not known yet. */
  readonly totalBytes: number;
  /** Bytes that are at the target: sent, mounted or already there. */
  readonly doneBytes: number;
  /** undefined: not measured yet. */
  readonly bytesPerSecond: number | undefined;
};

const AMOUNT_WIDTH = 15;
const RATE_WIDTH = 10;
const REST_WIDTH = 6;
const NAME_MIN_WIDTH = 12;
const BAR_MIN_WIDTH = 8;
const BAR_MAX_WIDTH = 24;
const GAP = "  ";

/** One copy as a line: name, bar, bytes, rate and remaining time. A narrow terminal has fewer columns. */
export function renderItem(image: string, state: ItemState, stream: Terminal): string {
  const width = (stream.columns ?? 80) - 1;
  const facts = factsOf(state);
  const shown = facts.slice(0, columnsFor(width, facts));
  const factsWidth = shown.reduce((sum, fact) => sum + GAP.length + fact.length, 0);
  const room = width - factsWidth;
  const barWidth = Math.min(BAR_MAX_WIDTH, Math.floor((room - GAP.length) * 0.4));
  const name = oneLine(image);
  if (barWidth < BAR_MIN_WIDTH) return [shorten(name, Math.max(0, room)), ...shown].join(GAP).slice(0, width);
  const nameWidth = room - barWidth - GAP.length;
  return [shorten(name, nameWidth).padEnd(nameWidth), bar(state, barWidth, stream), ...shown]
    .join(GAP)
    .trimEnd();
}

/** How many of the facts leave room for a name and a bar. The first one is always shown. */
function columnsFor(width: number, facts: readonly string[]): number {
  let used = NAME_MIN_WIDTH + GAP.length + BAR_MIN_WIDTH;
  let count = 0;
  for (const fact of facts) {
    used += GAP.length + fact.length;
    if (used > width) break;
    count += 1;
  }
  return Math.max(1, count);
}

function factsOf({ totalBytes, doneBytes, bytesPerSecond }: ItemState): readonly string[] {
  const blank = ["".padEnd(RATE_WIDTH), "".padEnd(REST_WIDTH)];
  if (totalBytes === 0) return ["reading".padStart(AMOUNT_WIDTH), ...blank];
  const amount = formatPart(Math.min(totalBytes, Math.max(0, doneBytes)), totalBytes).padStart(AMOUNT_WIDTH);
  if (bytesPerSecond === undefined) return [amount, ...blank];
  const rate = `${formatBytes(bytesPerSecond)}/s`.padStart(RATE_WIDTH);
  const restBytes = totalBytes - doneBytes;
  const rest = restBytes > 0 ? formatRoughly((restBytes / bytesPerSecond) * 1000) : "";
  return [amount, rate, rest.padStart(REST_WIDTH)];
}

function bar({ totalBytes, doneBytes }: ItemState, width: number, stream: Terminal): string {
  const share = totalBytes === 0 ? 0 : Math.min(1, Math.max(0, doneBytes) / totalBytes);
  const filled = Math.floor(share * width);
  const options = { stream };
  return `${styleText("cyan", "━".repeat(filled), options)}${styleText("dim", "─".repeat(width - filled), options)}`;
}
