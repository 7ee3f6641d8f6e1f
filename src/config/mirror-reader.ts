import type { ErrorCode } from "../errors/codes.ts";
import { isTagferryError } from "../errors/error.ts";
import { parseDuration } from "./duration.ts";
import type { Problem } from "./file/problems.ts";
import type { MirrorShape } from "./file/schema.ts";
import type { Path, ProblemFacts, YamlFile } from "./file/yaml.ts";

export type MirrorsContext = { readonly yaml: YamlFile; readonly directory: string };

/** Helpers to read the parts of a mirror. Each problem gets its position in the file. */
export type MirrorReader = {
  readonly directory: string;
  readonly fail: (at: Path, code: ErrorCode, message: string, facts?: ProblemFacts) => undefined;
  /** Runs `read`, and reports a thrown TagferryError as a problem at this path. */
  attempt<T>(at: Path, read: () => T): T | undefined;
  /** Parses a duration to milliseconds. */
  duration(at: Path, text: string): number | undefined;
};

/** For a key from `defaults`, problems have the position in `defaults`. */
export function readerAt(
  position: number,
  shape: MirrorShape,
  { yaml, directory }: MirrorsContext,
  problems: Problem[],
): MirrorReader {
  const pathOf = (at: Path): Path => {
    const [key] = at;
    return key === undefined || key in shape ? ["mirrors", position, ...at] : ["defaults", ...at];
  };
  const fail: MirrorReader["fail"] = (at, code, message, facts) => {
    problems.push(yaml.problem(pathOf(at), code, message, facts));
    return undefined;
  };
  return {
    directory,
    fail,
    attempt(at, read) {
      try {
        return read();
      } catch (error) {
        if (!isTagferryError(error)) throw error;
        const { found, allowed, next } = error.details;
        fail(at, error.code, error.message, {
          found,
          allowed,
          ...(typeof next === "string" ? { next } : {}),
        });
        return undefined;
      }
    },
    duration: (at, text) =>
      parseDuration(text) ??
      fail(at, "CONFIG_DURATION", `"${text}" is not a duration`, {
        found: text,
        allowed: "a whole number and a unit: 30s, 15m, 12h, 90d",
      }),
  };
}
