import { mkdir, writeFile } from "node:fs/promises";

import { loadConfig } from "../../src/config/file/load.ts";
import { checkSchedules } from "../../src/daemon/triggers/check-schedules.ts";
import { checkTagRules } from "../../src/plan/patterns.ts";
import { openContext } from "../../src/sync/context.ts";
import type { Outcome, Report } from "../../src/sync/report.ts";
import { syncMirrors } from "../../src/sync/sync.ts";
import { SILENT } from "./registry/client.ts";
import type { TemporaryDirectory } from "./temporary.ts";

export type InProcessOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly now?: Date;
};

/** Does what `tagferry sync` does with this configuration, without the cost of a process. */
export async function syncWith(
  directory: TemporaryDirectory,
  config: object,
  { env = {}, now }: InProcessOptions = {},
): Promise<Report> {
  await mkdir(directory.path, { recursive: true });
  const file = directory.join("tagferry.yaml");
  await writeFile(file, JSON.stringify({ version: 1, ...config })); // JSON is YAML
  const checks = [checkTagRules, checkSchedules];
  const { config: loaded } = await loadConfig({ file, env, directory: directory.path, checks });
  await using context = openContext({ config: loaded, env, log: SILENT });
  return await syncMirrors(loaded.mirrors, context, now ? { now } : {});
}

/** The outcome of each tag of the first mirror: its kind, or the code of its failure. */
export function outcomesOf({ mirrors }: Report): Record<string, string> {
  const [first] = mirrors;
  if (first?.failure) return { "*": first.failure.code };
  return Object.fromEntries((first?.outcomes ?? []).map((outcome) => [outcome.tag, wordOf(outcome)]));
}

function wordOf(outcome: Outcome): string {
  return "failure" in outcome ? outcome.failure.code : outcome.kind;
}
