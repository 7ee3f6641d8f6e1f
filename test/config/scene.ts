import { writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { loadConfig } from "../../src/config/file/load.ts";
import { isProblems, type Problem } from "../../src/config/file/problems.ts";
import { checkSchedules } from "../../src/daemon/triggers/check-schedules.ts";
import { isTagferryError } from "../../src/errors/error.ts";
import { checkTagRules } from "../../src/plan/patterns.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const ENV = { GIVEN: "value", EMPTY: "" };
const CHECKS = [checkTagRules, checkSchedules];

/** The problems of a file, each as code and line:column, in their order. */
export async function problemsOf(path: string, directory: string): Promise<readonly string[]> {
  try {
    await loadConfig({ file: path, env: ENV, directory, checks: CHECKS });
    return [];
  } catch (error) {
    if (isProblems(error))
      return error.details.problems.map(({ code, line, column }) => `${code} ${line}:${column}`);
    if (isTagferryError(error)) return [error.code];
    throw error;
  }
}

/** The error that a configuration gives. */
export async function errorOf(directory: TemporaryDirectory, text: string | Uint8Array): Promise<unknown> {
  writeFileSync(directory.join("tagferry.yaml"), text);
  return loadConfig({ env: {}, directory: directory.path }).catch((thrown: unknown) => thrown);
}

/** The problems in an error of `loadConfig`. */
export function problemsIn(error: unknown): readonly Problem[] {
  return isProblems(error) ? error.details.problems : [];
}

/** The warnings of a configuration, each as code and line:column. */
export async function warningsOf(directory: TemporaryDirectory, text: string): Promise<readonly string[]> {
  writeFileSync(directory.join("tagferry.yaml"), text);
  const { warnings } = await loadConfig({ env: {}, directory: directory.path, checks: CHECKS });
  return warnings.map(({ code, details }) => `${code} ${String(details["where"]).replace(/^.*yaml:/, "")}`);
}

export const SOURCE = "source: quay.io/a/b";
export const TARGET = "target: imagestream:web/b";
export const TAGS = "tags: [latest]";

/** A file with one mirror of these lines. */
export const mirror = (lines: string): string =>
  `version: 1\nmirrors:\n  - ${lines.replaceAll("\n", "\n    ")}\n`;
/** A file with one mirror; these lines begin on line 5. */
export const tagged = (tags: string): string => mirror(`${SOURCE}\n${TARGET}\n${tags}`);
/** A file with these lines under `registries`. They begin on line 7. */
export const registry = (body: string): string => `${tagged(TAGS)}registries:\n  ${body}\n`;
/** A file with these lines under `daemon`. They begin on line 7. */
export const daemon = (lines: string): string => `${tagged(TAGS)}daemon:\n  ${lines}\n`;
/** A file with a mirror that has these further lines. They begin on line 6. */
export const due = (lines: string): string => tagged(`${TAGS}\n${lines}`);

/** One invalid file: its number in the list of bad inputs, its text, and the problems with their positions. */
export type Row = {
  readonly row: string;
  readonly text: string | Uint8Array;
  readonly expected: readonly string[];
};

/** One test for each row. `files` are beside the configuration. */
export function testRows(rows: readonly Row[], files: Readonly<Record<string, string>> = {}): void {
  test.for(rows)("$row", async ({ text, expected }) => {
    await using directory = await temporaryDirectory();
    for (const [name, content] of Object.entries(files)) writeFileSync(directory.join(name), content);
    writeFileSync(directory.join("tagferry.yaml"), text);
    expect(await problemsOf("tagferry.yaml", directory.path)).toEqual(expected);
  });
}
