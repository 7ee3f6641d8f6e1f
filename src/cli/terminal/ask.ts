import { createInterface } from "node:readline";

import type { Process } from "../process.ts";

type Question = { readonly text: string; readonly example: string };

/** Asks on the terminal. An empty answer takes the example. Lines that are typed ahead answer the next questions. */
export type Asker = Disposable & { ask(question: Question): Promise<string> };

export function openAsker({ stdin, stderr, signal }: Pick<Process, "stdin" | "stderr" | "signal">): Asker {
  const reading = createInterface({ input: stdin, output: stderr });
  const lines = reading[Symbol.asyncIterator]();
  const close = (): void => reading.close();
  // Ctrl-C at a question ends the command, as everywhere else
  reading.once("SIGINT", close);
  signal.addEventListener("abort", close, { once: true });
  return {
    async ask({ text, example }) {
      reading.setPrompt(`${text} [${example}] `);
      reading.prompt();
      const line = await lines.next();
      signal.throwIfAborted();
      if (line.done === true) throw new DOMException("the questions were not answered", "AbortError");
      const answer = line.value.trim();
      return answer === "" ? example : answer;
    },
    [Symbol.dispose]() {
      signal.removeEventListener("abort", close);
      close();
    },
  };
}
