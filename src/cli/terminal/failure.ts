import { readFileSync } from "node:fs";

import { isProblems, renderProblems } from "../../config/file/problems.ts";
import { ERROR_CODES } from "../../errors/codes.ts";
import { asTagferryError, failureOf, isTagferryError } from "../../errors/error.ts";
import type { Process } from "../cli.ts";
import { renderFailure } from "./render.ts";

/** What stopped the whole command, on stderr: code, where, found, allowed, next. Never a stack trace. */
export function printFailure(error: unknown, { stderr, signal }: Pick<Process, "stderr" | "signal">): void {
  if (signal.aborted) {
    stderr.write("stopped; what was finished stays, nothing was left half done\n");
    return;
  }
  if (isProblems(error)) {
    const { file, problems } = error.details;
    stderr.write(`${renderProblems(problems, textOf(file))}\n`);
    return;
  }
  stderr.write(`${renderFailure(failureOf(error))}\n`);
}

/** The file as it is now, to show the lines that are meant; without it the places alone have to do. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The exit code of a run that could not start, or of a command about one thing. */
export function exitCodeOf(error: unknown): number {
  const { code } = asTagferryError(error);
  switch (ERROR_CODES[code].class) {
    case "usage":
      return 3;
    case "credentials":
      return 4;
    case "policy":
      return 5;
    case "source":
    case "target":
    case "environment":
      return isTagferryError(error, "NODE_VERSION") ? 3 : 2;
  }
}
