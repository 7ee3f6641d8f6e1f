import type { Planned } from "../../sync/check.ts";
import { planMirrors } from "../../sync/sync.ts";
import { contextOf } from "../clients.ts";
import { exitCodeOfPlan } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import { chooseMirrors, readConfig } from "../read-config.ts";
import { printWarnings } from "../terminal/failure-text.ts";
import { print } from "../terminal/output.ts";
import { renderPlan } from "../terminal/plan-text.ts";

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
    () => planned.map((one) => renderPlan(one, flags)).join("\n\n"),
    flags,
    process,
  );
  return exitCodeOfPlan(planned, flags);
}

function recordOf(one: Planned, { explain }: PlanFlags): unknown {
  if (one.kind === "failed") return { mirror: one.mirror.name, failure: one.failure };
  return explain ? { ...one.plan, explained: one.explained } : one.plan;
}
