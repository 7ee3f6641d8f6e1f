import { createInterface } from "node:readline";

import { TagferryError } from "../../errors/error.ts";
import type { Process } from "../process.ts";

type Question = { readonly text: string; readonly example: string };

/** Asks on the terminal. An empty answer takes the example. Lines that are typed ahead answer the next questions. */
export type Asker = Disposable & { ask(question: Question): Promise<string> };

export function openAsker({ stdin, stderr, signal }: Pick<Process, "stdin" | "stderr" | "signal">): Asker {
  // not `terminal`: that would take Ctrl-C away from the process
  const reading = createInterface({ input: stdin, output: stderr, terminal: false });
  const lines = reading[Symbol.asyncIterator]();
  const close = (): void => reading.close();
  signal.addEventListener("abort", close, { once: true });
  return {
    async ask({ text, example }) {
      reading.setPrompt(`${text} [${example}] `);
      reading.prompt();
      const line = await lines.next();
      signal.throwIfAborted();
      if (line.done === true)
        throw new TagferryError("USAGE", "the questions were not answered, so nothing was written", {
          next: "Give the answers as flags: `tagferry init --help` has an example.",
        });
      const answer = line.value.trim();
      return answer === "" ? example : answer;
    },
    [Symbol.dispose]() {
      signal.removeEventListener("abort", close);
      close();
    },
  };
}
