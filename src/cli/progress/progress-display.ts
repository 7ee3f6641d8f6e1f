import { oneLine } from "../../lib/pretty.ts";
import { formatBytes, formatDuration } from "../terminal/units.ts";
import { type ItemState, renderItem, type Terminal } from "./progress-line.ts";
import { openRate, type Rate } from "./rate.ts";

/** Shows the copies that are running: as bars on a terminal, or as lines of text. */
export type ProgressDisplay = Disposable & {
  begin(image: string): void;
  /** The bytes of the image that are known so far. The number grows while the image is read. */
  planned(image: string, totalBytes: number): void;
  /** Bytes that were sent. Negative when an upload starts over. */
  sent(image: string, bytes: number): void;
  /** Bytes that did not have to be sent: mounted, or at the target before. They do not count for the rate. */
  skipped(image: string, bytes: number): void;
  /** `line`: what is printed about the image. undefined: nothing. */
  end(image: string, line?: string): void;
  /** A line about the whole run, below the bars. */
  summary(text: string): void;
};

export type ProgressDisplayOptions = {
  readonly stream: Terminal;
  /** True: bars. False: lines of text. */
  readonly drawing: boolean;
  readonly now?: () => number;
};

type Item = { totalBytes: number; doneBytes: number; readonly rate: Rate };

const REDRAW_MS = 100;
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
    sent: () => {},
    skipped: () => {},
    end(image, line) {
      const since = started.get(image);
      started.delete(image);
      if (line === undefined) return;
      stream.write(`${oneLine(line)}${since === undefined ? "" : ` in ${formatDuration(now() - since)}`}\n`);
    },
    summary: () => {},
    [Symbol.dispose]: () => {},
  };
}

/** One line per running image, redrawn in place ten times per second. Finished images scroll up. */
function openBars(stream: Terminal, now: () => number): ProgressDisplay {
  const items = new Map<string, Item>();
  const total = openRate(now);
  let summary = "";
  let drawnLines = 0;
  const timer = setInterval(draw, REDRAW_MS);
  timer.unref();

  function clear(): string {
    const up = drawnLines > 0 ? `\u001b[${drawnLines}A\u001b[J` : "";
    drawnLines = 0;
    return up;
  }

  function draw(): void {
    if (items.size === 0 && drawnLines === 0 && summary === "") return;
    // a line that wraps or scrolls out of the terminal cannot be redrawn
    const most = Math.max(1, Math.min(SHOWN_MAX, (stream.rows ?? 24) - 3));
    const shown = [...items].slice(0, most).map(([image, item]) => renderItem(image, stateOf(item), stream));
    if (items.size > most) shown.push(`  and ${items.size - most} more`);
    const last = summaryLine();
    if (last !== "") shown.push(last);
    stream.write(`${clear()}${shown.map((line) => `${line}\n`).join("")}`);
    drawnLines = shown.length;
  }

  function summaryLine(): string {
    const rate = total.bytesPerSecond();
    const facts = [
      ...(summary === "" ? [] : [summary]),
      ...(total.bytes() > 0 ? [`${formatBytes(total.bytes())} sent`] : []),
      ...(rate === undefined ? [] : [`${formatBytes(rate)}/s`]),
    ];
    return summary === "" ? "" : oneLine(facts.join(", ")).slice(0, (stream.columns ?? 80) - 1);
  }

  return {
    begin: (image) => void items.set(image, { totalBytes: 0, doneBytes: 0, rate: openRate(now) }),
    planned(image, totalBytes) {
      const item = items.get(image);
      if (item) item.totalBytes = Math.max(item.totalBytes, totalBytes);
    },
    sent(image, bytes) {
      total.add(bytes);
      const item = items.get(image);
      if (!item) return;
      item.doneBytes += bytes;
      item.rate.add(bytes);
    },
    skipped(image, bytes) {
      const item = items.get(image);
      if (item) item.doneBytes += bytes;
    },
    end(image, line) {
      items.delete(image);
      stream.write(`${clear()}${line === undefined ? "" : `${oneLine(line)}\n`}`);
      draw();
    },
    summary(text) {
      summary = text;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      stream.write(clear());
    },
  };
}

function stateOf({ totalBytes, doneBytes, rate }: Item): ItemState {
  return { totalBytes, doneBytes, bytesPerSecond: rate.bytesPerSecond() };
}
