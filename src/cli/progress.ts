import type { Writable } from "node:stream";
import { styleText } from "node:util";

import { printable } from "../lib/error.ts";
import { formatBytes, formatDuration } from "./format.ts";

export type Terminal = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** What is under way, drawn on a terminal or told in lines. */
export type Progress = Disposable & {
  begin(image: string): void;
  /** How much there is, as far as it is known; grows. */
  planned(image: string, totalBytes: number): void;
  /** Negative when an upload starts over. */
  advance(image: string, bytes: number): void;
  end(image: string, line: string): void;
};

export type ProgressOptions = {
  readonly stream: Terminal;
  /** Draws bars; otherwise lines. */
  readonly drawing: boolean;
  readonly now?: () => number;
};

type Item = { totalBytes: number; bytes: number; readonly startedMs: number };

const REDRAW_MS = 100;
const BAR_WIDTH = 24;
const SHOWN_MAX = 8;

export function openProgress({ stream, drawing, now = () => performance.now() }: ProgressOptions): Progress {
  return drawing ? openBoard(stream, now) : openLines(stream, now);
}

/** One line an image when it begins and one when it ends. */
function openLines(stream: Terminal, now: () => number): Progress {
  const started = new Map<string, number>();
  return {
    begin(image) {
      started.set(image, now());
      stream.write(`copying ${printable(image)}\n`);
    },
    planned: () => {},
    advance: () => {},
    end(image, line) {
      const since = started.get(image);
      stream.write(
        `${printable(line)}${since === undefined ? "" : ` in ${formatDuration(now() - since)}`}\n`,
      );
      started.delete(image);
    },
    [Symbol.dispose]: () => {},
  };
}

/** A line an image under way, redrawn in place ten times a second; what is finished scrolls up. */
function openBoard(stream: Terminal, now: () => number): Progress {
  const items = new Map<string, Item>();
  let drawnLines = 0;
  const timer = setInterval(draw, REDRAW_MS);
  timer.unref();

  function clear(): string {
    const up = drawnLines > 0 ? `\u001b[${drawnLines}A\u001b[J` : "";
    drawnLines = 0;
    return up;
  }

  function draw(): void {
    if (items.size === 0 && drawnLines === 0) return;
    const width = stream.columns ?? 80;
    const shown = [...items]
      .slice(0, SHOWN_MAX)
      .map(([image, item]) => renderItem(image, item, now(), width));
    if (items.size > SHOWN_MAX) shown.push(`  and ${items.size - SHOWN_MAX} more`);
    stream.write(`${clear()}${shown.map((line) => `${line}\n`).join("")}`);
    drawnLines = shown.length;
  }

  return {
    begin: (image) => void items.set(image, { totalBytes: 0, bytes: 0, startedMs: now() }),
    planned(image, totalBytes) {
      const item = items.get(image);
      if (item) item.totalBytes = Math.max(item.totalBytes, totalBytes);
    },
    advance(image, bytes) {
      const item = items.get(image);
      if (item) item.bytes += bytes;
    },
    end(image, line) {
      items.delete(image);
      stream.write(`${clear()}${printable(line)}\n`);
      draw();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      stream.write(clear());
    },
  };
}

/** Name, bar, bytes, rate, what is left: as much of it as the terminal is wide. */
export function renderItem(
  image: string,
  { totalBytes, bytes, startedMs }: Item,
  nowMs: number,
  width: number,
): string {
  const share = totalBytes === 0 ? 0 : Math.min(1, bytes / totalBytes);
  const seconds = Math.max(0.001, (nowMs - startedMs) / 1000);
  const rate = bytes / seconds;
  const filled = Math.round(share * BAR_WIDTH);
  const bar = `${styleText("cyan", "━".repeat(filled), { validateStream: false })}${" ".repeat(BAR_WIDTH - filled)}`;
  const left =
    rate > 0 && totalBytes > bytes ? `, ${formatDuration(((totalBytes - bytes) / rate) * 1000)} left` : "";
  const facts =
    totalBytes === 0
      ? "looking"
      : `${formatBytes(bytes)} of ${formatBytes(totalBytes)}, ${formatBytes(rate)}/s${left}`;
  const room = Math.max(10, width - BAR_WIDTH - facts.length - 6);
  const name = printable(image);
  const short = name.length > room ? `…${name.slice(name.length - room + 1)}` : name.padEnd(room);
  return `${short}  ${bar}  ${facts}`.slice(0, width + 10);
}
