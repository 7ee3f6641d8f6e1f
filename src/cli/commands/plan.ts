import { ERROR_CODES } from "../../errors/codes.ts";
import { describe } from "../../plan/describe.ts";
import { type Planned, planMirrors } from "../../sync/sync.ts";
import type { CommonFlags, Process } from "../cli.ts";
import { chooseMirrors, contextOf, printWarnings, readConfig } from "../run.ts";
import { print } from "../terminal/output.ts";
import { renderFailure } from "../terminal/render.ts";
import { table } from "../terminal/table.ts";

type PlanFlags = CommonFlags & { readonly explain: boolean; readonly exitCode: boolean };

/** Shows what sync would do, and why. Reads sources and targets, writes nothing. */
export async function planCommand(
  names: readonly string[],
  flags: PlanFlags,
  process: Process,
): Promise<number> {
  const config = await readConfig(flags, process);
  await using context = contextOf(config, flags, process);
  const planned = await planMirrors(chooseMirrors(config, names), context, { signal: process.signal });
  for (const one of planned) if (one.kind === "planned") printWarnings(one.plan.warnings, process.stderr);
  await print(
    planned.map((one) => recordOf(one, flags)),
    () => planned.map((one) => render(one, flags)).join("\n\n"),
    flags,
    process,
  );
  return exitCodeOfPlan(planned, flags);
}

function recordOf(one: Planned, { explain }: PlanFlags): unknown {
  if (one.kind === "failed") return { mirror: one.mirror.name, failure: one.failure };
  return explain ? { ...one.plan, explained: one.explained } : one.plan;
}

function render(one: Planned, { explain }: PlanFlags): string {
  if (one.kind === "failed")
    return `${one.mirror.name}\n${renderFailure(one.failure).replaceAll(/^/gm, "  ")}`;
  const lines = one.plan.actions.map((action) => `  ${describe(action)}`);
  const rules = one.explained.map(({ tag, kept, rule }) => [kept ? "kept" : "dropped", tag, rule]);
  return [
    one.mirror.name,
    ...(lines.length > 0 ? lines : ["  no tag is wanted"]),
    ...(explain ? ["", "  why", table(rules).replaceAll(/^/gm, "  ")] : []),
  ].join("\n");
}

/** 5 only with --exit-code, when something would change; failures as a run would report them. */
function exitCodeOfPlan(planned: readonly Planned[], { exitCode }: PlanFlags): number {
  const failures = planned.flatMap((one) =>
    one.kind === "failed"
      ? [one.failure]
      : one.plan.actions.flatMap((action) => (action.kind === "refuse" ? [action.failure] : [])),
  );
  if (failures.length > 0) {
    const classes = new Set(failures.map(({ code }) => ERROR_CODES[code].class));
    if (classes.size === 1 && classes.has("policy")) return 5;
    if (planned.some(({ kind }) => kind === "planned")) return 1;
    return classes.size === 1 && classes.has("credentials") ? 4 : 2;
  }
  const changes = planned.some(
    (one) => one.kind === "planned" && one.plan.actions.some(({ kind }) => kind !== "keep"),
  );
  return exitCode && changes ? 5 : 0;
}
