import type { Writable } from "node:stream";
import { styleText } from "node:util";

import { oneLine } from "../../lib/pretty.ts";
import { formatBytes, formatDuration } from "./units.ts";

export type Terminal = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

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
const NAME_MIN_WIDTH = 10;
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
      stream.write(`copying ${oneLine(image)}\n`);
    },
    planned: () => {},
    advance: () => {},
    end(image, line) {
      const since = started.get(image);
      stream.write(`${oneLine(line)}${since === undefined ? "" : ` in ${formatDuration(now() - since)}`}\n`);
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
    // a line that wraps, or scrolls away, cannot be drawn over
    const most = Math.max(1, Math.min(SHOWN_MAX, (stream.rows ?? 24) - 2));
    const shown = [...items].slice(0, most).map(([image, item]) => renderItem(image, item, now(), stream));
    if (items.size > most) shown.push(`  and ${items.size - most} more`);
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
      stream.write(`${clear()}${oneLine(line)}\n`);
      draw();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      stream.write(clear());
    },
  };
}

/** Name, bar, bytes, rate, what is left: as much of it as the terminal is wide. */
function renderItem(
  image: string,
  { totalBytes, bytes, startedMs }: Item,
  nowMs: number,
  stream: Terminal,
): string {
  const room = (stream.columns ?? 80) - 1;
  const moved = Math.max(0, bytes);
  const rate = moved / Math.max(0.001, (nowMs - startedMs) / 1000);
  const left =
    rate > 0 && totalBytes > moved ? `, ${formatDuration(((totalBytes - moved) / rate) * 1000)} left` : "";
  const facts =
    totalBytes === 0
      ? "looking"
      : `${formatBytes(moved)} of ${formatBytes(totalBytes)}, ${formatBytes(rate)}/s${left}`;
  const name = oneLine(image);
  const nameRoom = room - BAR_WIDTH - facts.length - 4;
  if (nameRoom < NAME_MIN_WIDTH)
    return `${shorten(name, NAME_MIN_WIDTH)}  ${facts}`.slice(0, Math.max(0, room));
  const filled = totalBytes === 0 ? 0 : Math.round(Math.min(1, moved / totalBytes) * BAR_WIDTH);
  const bar = `${styleText("cyan", "━".repeat(filled), { stream })}${" ".repeat(BAR_WIDTH - filled)}`;
  return `${shorten(name, nameRoom).padEnd(nameRoom)}  ${bar}  ${facts}`;
}

/** The end of a name says more than its beginning: it holds the tag. */
function shorten(text: string, width: number): string {
  return text.length > width ? `…${text.slice(text.length - width + 1)}` : text;
}
