import type { Writable } from "node:stream";
import { styleText } from "node:util";

import { oneLine } from "../../lib/pretty.ts";
import { formatBytes, formatDuration } from "./units.ts";

export type Terminal = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** Shows the copies that are running: as bars on a terminal, or as lines of text. */
export type ProgressDisplay = Disposable & {
  begin(image: string): void;
  /** The bytes of the image that are known so far. The number grows while the image is read. */
  planned(image: string, totalBytes: number): void;
  /** Negative when an upload starts over. */
  advance(image: string, bytes: number): void;
  end(image: string, line: string): void;
};

export type ProgressDisplayOptions = {
  readonly stream: Terminal;
  /** True: bars. False: lines of text. */
  readonly drawing: boolean;
  readonly now?: () => number;
};

type Item = { totalBytes: number; bytes: number; readonly startedMs: number };

const REDRAW_MS = 100;
const BAR_WIDTH = 24;
const NAME_MIN_WIDTH = 10;
const SHOWN_MAX = 8;

export function openProgressDisplay({
  stream,
  drawing,
  now = () => performance.now(),
}: ProgressDisplayOptions): ProgressDisplay {
  return drawing ? openBars(stream, now) : openLines(stream, now);
}

/** One line when an image begins, and one when it ends. */
function openLines(stream: Terminal, now: () => number): ProgressDisplay {
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

/** One line per running image, redrawn in place ten times per second. Finished images scroll up. */
function openBars(stream: Terminal, now: () => number): ProgressDisplay {
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
    // a line that wraps or scrolls out of the terminal cannot be redrawn
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

/** Name, bar, bytes, rate and time left, as far as the width of the terminal allows. */
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
      ? "reading"
      : `${formatBytes(moved)} of ${formatBytes(totalBytes)}, ${formatBytes(rate)}/s${left}`;
  const name = oneLine(image);
  const nameRoom = room - BAR_WIDTH - facts.length - 4;
  if (nameRoom < NAME_MIN_WIDTH)
    return `${shorten(name, NAME_MIN_WIDTH)}  ${facts}`.slice(0, Math.max(0, room));
  const filled = totalBytes === 0 ? 0 : Math.round(Math.min(1, moved / totalBytes) * BAR_WIDTH);
  const bar = `${styleText("cyan", "━".repeat(filled), { stream })}${" ".repeat(BAR_WIDTH - filled)}`;
  return `${shorten(name, nameRoom).padEnd(nameRoom)}  ${bar}  ${facts}`;
}

/** Keeps the end of the name, because it contains the tag. */
function shorten(text: string, width: number): string {
  return text.length > width ? `…${text.slice(text.length - width + 1)}` : text;
}
