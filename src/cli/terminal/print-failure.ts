import { readFileSync } from "node:fs";

import { isProblems, renderProblems } from "../../config/file/problems.ts";
import { failureOf } from "../../errors/error.ts";
import type { Process } from "../process.ts";
import { renderFailure } from "./failure-text.ts";

/** Prints on stderr what stopped the whole command: code, where, found, allowed, next. Never a stack trace. */
export function printFailure(
  error: unknown,
  { stderr, signal }: Pick<Process, "stderr" | "signal">,
  { writesImages = true }: { readonly writesImages?: boolean } = {},
): void {
  if (signal.aborted) {
    if (writesImages) stderr.write("stopped; finished tags stay, and no tag points to an incomplete image\n");
    return;
  }
  if (isProblems(error)) {
    const { file, problems } = error.details;
    stderr.write(`${renderProblems(problems, textOf(file))}\n`);
    return;
  }
  stderr.write(`${renderFailure(failureOf(error))}\n`);
}

/** The text of the file, to show the lines with problems. When it cannot be read, only line and column are shown. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
