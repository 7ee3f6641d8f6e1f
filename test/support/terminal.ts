import { spawn } from "node:child_process";
import { once } from "node:events";
import { stripVTControlCharacters } from "node:util";

import { BIN } from "./tagferry.ts";

export type TerminalOptions = {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Typed into the terminal at the start, and then its end. */
  readonly input?: string;
  /** Called with the complete output each time when more was written. `type` types into the terminal. */
  readonly onOutput?: (output: string, type: (text: string) => void) => void;
};

export type TerminalRun = {
  readonly code: number | null;
  /** Everything that was written to the terminal, with control characters. */
  readonly output: string;
};

/** Runs the program in a pseudo-terminal of this size, made by `script` of util-linux. */
export async function inTerminal(
  args: readonly string[],
  { columns = 80, rows = 24, env = {}, cwd, input, onOutput }: TerminalOptions = {},
): Promise<TerminalRun> {
  const command = [BIN, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const child = spawn(
    "script",
    ["-qefc", `stty cols ${columns} rows ${rows}; exec ${command}`, "/dev/null"],
    {
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: "/nonexistent",
        NO_COLOR: "1",
        TERM: "xterm",
        SHELL: "/bin/sh",
        ...env,
      },
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  // what is typed after the end of the program is lost
  child.stdin?.on("error", () => {});
  if (input !== undefined) child.stdin?.end(input);
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
    onOutput?.(output, (text) => void child.stdin?.write(text));
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output: output.replaceAll("\r\n", "\n") };
}

// oxlint-disable-next-line no-control-regex -- cursor up, then clear to the end
const REDRAW = /\u001b\[\d+A\u001b\[J/;

/** What the terminal showed between two redraws: each part of the output, as lines. */
export function frames(output: string): readonly (readonly string[])[] {
  return output
    .replaceAll("\r\n", "\n")
    .split(REDRAW)
    .map((frame) =>
      stripVTControlCharacters(frame)
        .split("\n")
        .filter((line) => line !== ""),
    );
}
