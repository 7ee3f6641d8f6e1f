import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { openProgressDisplay, type ProgressDisplay } from "../../../src/cli/progress/progress-display.ts";

beforeEach(() => {
  vi.stubEnv("FORCE_COLOR", undefined);
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});
afterEach(() => void vi.useRealTimers());

const MIB = 1024 * 1024;

type Terminal = { readonly columns?: number; readonly rows?: number; readonly depth?: number };

/** A display with its own clock, and its output. */
function open({ drawing, columns = 100, rows = 24, depth = 8 }: Terminal & { drawing: boolean }): {
  readonly progress: ProgressDisplay;
  readonly chunks: string[];
  readonly pass: (durationMs: number) => void;
} {
  const chunks: string[] = [];
  const stream = Object.assign(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk.toString());
        done();
      },
    }),
    { isTTY: drawing, columns, rows, getColorDepth: () => depth },
  );
  let nowMs = 0;
  return {
    progress: openProgressDisplay({ stream, drawing, now: () => nowMs }),
    chunks,
    pass(durationMs) {
      nowMs += durationMs;
      vi.advanceTimersByTime(durationMs);
    },
  };
}

const lastLines = (chunks: readonly string[]): string[] =>
  stripVTControlCharacters(chunks.at(-1) ?? "")
    .split("\n")
    .slice(0, -1);

describe("on a terminal", () => {
  test("an image has a name, a bar with a track, bytes, rate and remaining time", () => {
    const { progress, chunks, pass } = open({ drawing: true });
    using _ = progress;
    progress.begin("web/nginx:1");
    pass(100);
    expect(lastLines(chunks)).toEqual([expect.stringMatching(/^web\/nginx:1 +─{24} +reading$/)]);
    progress.planned("web/nginx:1", 100 * MIB);
    for (let second = 0; second < 5; second += 1) {
      progress.sent("web/nginx:1", 5 * MIB);
      pass(1000);
    }
    expect(lastLines(chunks)).toEqual([
      expect.stringMatching(/^web\/nginx:1 +━{6}─{18} +25\.0\/100 MiB +5\.0 MiB\/s +15 s$/),
    ]);
  });

  test("a rate is shown only after a second of bytes, and counts only bytes that were sent", () => {
    const { progress, chunks, pass } = open({ drawing: true });
    using _ = progress;
    progress.begin("a");
    progress.planned("a", 100 * MIB);
    progress.skipped("a", 50 * MIB);
    pass(5000);
    progress.sent("a", MIB);
    pass(900);
    expect(lastLines(chunks)[0]).toMatch(/51\.0\/100 MiB$/);
    progress.sent("a", MIB);
    pass(1100);
    expect(lastLines(chunks)[0]).toMatch(/52\.0\/100 MiB +1\.0 MiB\/s +48 s$/);
  });

  test("the rate follows a change within seconds", () => {
    const { progress, chunks, pass } = open({ drawing: true });
    using _ = progress;
    progress.begin("a");
    progress.planned("a", 1000 * MIB);
    for (let second = 0; second < 60; second += 1) {
      progress.sent("a", MIB);
      pass(1000);
    }
    for (let second = 0; second < 7; second += 1) {
      progress.sent("a", 10 * MIB);
      pass(1000);
    }
    expect(lastLines(chunks)[0]).toMatch(/10\.0 MiB\/s/);
  });

  test("a line about the run is below the bars, with what was sent in total", () => {
    const { progress, chunks, pass } = open({ drawing: true });
    using _ = progress;
    progress.summary("1 of 3 mirrors checked");
    pass(100);
    expect(lastLines(chunks)).toEqual(["1 of 3 mirrors checked"]);
    progress.begin("a");
    progress.planned("a", 10 * MIB);
    progress.sent("a", 2 * MIB);
    pass(2000);
    expect(lastLines(chunks)).toEqual([
      expect.stringMatching(/^a /),
      "1 of 3 mirrors checked, 2.0 MiB sent, 1.0 MiB/s",
    ]);
  });

  test("it is drawn at most ten times a second, over what was drawn before", () => {
    const { progress, chunks, pass } = open({ drawing: true });
    using _ = progress;
    for (const name of ["a", "b"]) progress.begin(name);
    for (let step = 0; step < 100; step += 1) {
      progress.sent("a", 1);
      pass(10);
    }
    expect(chunks).toHaveLength(10);
    expect(chunks[0]?.startsWith("\u001b")).toBe(false);
    expect(chunks.slice(1).every((chunk) => chunk.startsWith("\u001b[2A\u001b[J"))).toBe(true);
  });

  test("what is finished scrolls up, and nothing of the board stays at the end", () => {
    const { progress, chunks, pass } = open({ drawing: true });
    progress.begin("a");
    pass(100);
    progress.end("a", "copied a");
    expect(chunks.at(-1)).toBe("\u001b[1A\u001b[Jcopied a\n");
    progress.begin("b");
    pass(100);
    progress[Symbol.dispose]();
    expect(chunks.at(-1)).toBe("\u001b[1A\u001b[J");
    const written = chunks.length;
    pass(1000);
    expect(chunks).toHaveLength(written);
  });

  test.for([20, 40, 60, 80, 200])("no line is wider than %i columns", (columns) => {
    const { progress, chunks, pass } = open({ drawing: true, columns });
    using _ = progress;
    const image = `${"very-long-namespace/".repeat(10)}nginx:1.27`;
    progress.begin(image);
    progress.planned(image, 123 * MIB);
    progress.sent(image, 99 * MIB);
    pass(60_000);
    for (const line of lastLines(chunks)) expect(line.length).toBeLessThan(columns);
    expect(lastLines(chunks)).toHaveLength(1);
    if (columns > 20) expect(lastLines(chunks)[0]).toMatch(/^v.*….*:1\.27/);
  });

  test("no more lines are drawn than the terminal has", () => {
    const { progress, chunks, pass } = open({ drawing: true, rows: 6 });
    using _ = progress;
    for (let number = 0; number < 20; number += 1) progress.begin(`image-${number}`);
    pass(100);
    expect(lastLines(chunks)).toHaveLength(4);
    expect(lastLines(chunks).at(-1)).toBe("  and 17 more");
  });

  test("an upload that starts over takes its bytes back, and is never less than nothing", () => {
    const { progress, chunks, pass } = open({ drawing: true });
    using _ = progress;
    progress.begin("a");
    progress.planned("a", 10 * MIB);
    progress.planned("a", 5 * MIB);
    progress.sent("a", 4 * MIB);
    progress.sent("a", -5 * MIB);
    pass(100);
    expect(lastLines(chunks)[0]).toContain("0.0/10.0 MiB");
  });

  test("colours are left out where the terminal has none", () => {
    const { progress, chunks, pass } = open({ drawing: true, depth: 1 });
    using _ = progress;
    progress.begin("a");
    progress.planned("a", 1);
    progress.sent("a", 1);
    pass(100);
    expect(chunks.join("")).not.toContain("\u001b[");
  });
});

test.for([true, false])("names control nothing (drawing: %s)", (drawing) => {
  const { progress, chunks, pass } = open({ drawing, columns: 200 });
  progress.begin("a\u001b[2J\nb");
  pass(100);
  progress.end("a\u001b[2J\nb", "copied a\u001b[2J\nb");
  progress[Symbol.dispose]();
  expect(chunks.join("")).not.toContain("\u001b[2J");
  expect(chunks.join("")).toContain("copied a\\u001b[2J\\nb");
});

test("without a terminal an image is told in two lines, and nothing in between", () => {
  const { progress, chunks, pass } = open({ drawing: false });
  using _ = progress;
  progress.begin("web/nginx:1");
  progress.planned("web/nginx:1", 10);
  progress.sent("web/nginx:1", 5);
  pass(12_000);
  progress.end("web/nginx:1", "copied web/nginx:1");
  progress.end("other", "failed other");
  expect(chunks).toEqual(["copying web/nginx:1\n", "copied web/nginx:1 in 12 s\n", "failed other\n"]);
});
