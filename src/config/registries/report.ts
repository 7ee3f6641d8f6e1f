import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import type { ErrorCode } from "../../errors/codes.ts";
import type { Path, ProblemFacts, YamlFile } from "../file/yaml.ts";

export type ReportProblem = (at: Path, code: ErrorCode, message: string, facts?: ProblemFacts) => undefined;

/** Where the parts of one registry report their problems. Paths begin below the key of the registry. */
export type RegistryReport = {
  readonly yaml: YamlFile;
  readonly directory: string;
  readonly problem: ReportProblem;
  readonly warning: ReportProblem;
  /** The text in the file, before variables are replaced. */
  readonly original: (at: Path) => unknown;
};

/** A file that the configuration names: its text, or why there is none. */
export function readNamedFile(
  path: string,
  directory: string,
): { readonly kind: "text"; readonly text: string } | { readonly kind: "failed"; readonly why: string } {
  try {
    return { kind: "text", text: readFileSync(resolve(directory, path), "utf8") };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      kind: "failed",
      why:
        code === "ENOENT"
          ? "does not exist"
          : code === "EISDIR"
            ? "is a directory"
            : `cannot be read (${code})`,
    };
  }
}
