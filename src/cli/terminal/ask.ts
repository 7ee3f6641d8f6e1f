import { createInterface } from "node:readline/promises";

import type { Process } from "../process.ts";

type Question = { readonly text: string; readonly example: string };

/** Asks on the terminal. An empty answer takes the example. */
export async function ask(
  { text, example }: Question,
  { stdin, stderr, signal }: Pick<Process, "stdin" | "stderr" | "signal">,
): Promise<string> {
  const reading = createInterface({ input: stdin, output: stderr });
  // Ctrl-C at the question ends the command, as everywhere else
  const closed = new AbortController();
  reading.once("SIGINT", () => closed.abort());
  reading.once("close", () => closed.abort());
  try {
    const answer = await reading.question(`${text} [${example}] `, {
      signal: AbortSignal.any([signal, closed.signal]),
    });
    return answer.trim() === "" ? example : answer.trim();
  } finally {
    reading.close();
  }
}
