import type { Planned } from "../../sync/check.ts";
import type { Context } from "../../sync/context.ts";
import { planMirrors } from "../../sync/sync.ts";
import { copySize, sizesAreCheap } from "../../sync/targets/copy-size.ts";
import { contextOf } from "../clients.ts";
import { exitCodeOfPlan } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import { chooseMirrors, readConfig } from "../read-config.ts";
import { printWarnings } from "../terminal/failure-text.ts";
import { print } from "../terminal/output.ts";
import { renderMarkdown } from "../terminal/plan-markdown.ts";
import { renderPlans, type SizedPlan } from "../terminal/plan-text.ts";

export type PlanFlags = Omit<CommonFlags, "output"> & {
  readonly output: CommonFlags["output"] | "markdown";
  readonly explain?: boolean;
  readonly exitCode?: boolean;
  /** undefined: only where this does not count as pulls. */
  readonly sizes?: boolean;
};

/** Shows what sync would do, and why. Reads sources and targets, writes nothing. */
export async function planCommand(
  names: readonly string[],
  flags: PlanFlags,
  process: Process,
): Promise<number> {
  // a mirror without a cluster fails with this reason
  const config = await readConfig(flags, process, { quiet: ["CONFIG_KUBECONFIG"] });
  await using context = contextOf(config, flags, process);
  const planned = await planMirrors(chooseMirrors(config, names), context, { signal: process.signal });
  for (const one of planned) if (one.kind === "planned") printWarnings(one.plan.warnings, process.stderr);
  const plans = await Promise.all(planned.map((one) => withSize(one, context, flags, process)));
  const { output } = flags;
  if (output === "markdown") process.stdout.write(renderMarkdown(plans));
  else
    await print(
      plans.map((one) => recordOf(one, flags)),
      () => renderPlans(plans, flags),
      { output },
      process,
    );
  return exitCodeOfPlan(planned, flags);
}

async function withSize(
  planned: Planned,
  context: Context,
  { sizes }: PlanFlags,
  { signal }: Process,
): Promise<SizedPlan> {
  const { mirror, kind } = planned;
  if (kind === "failed" || !(sizes ?? sizesAreCheap(mirror))) return { planned };
  return { planned, size: await copySize(planned.plan, mirror, context, { signal }) };
}

function recordOf({ planned, size }: SizedPlan, { explain }: PlanFlags): unknown {
  if (planned.kind === "failed") return { mirror: planned.mirror.name, failure: planned.failure };
  return {
    ...planned.plan,
    ...(size ? { copyBytes: size.bytes } : {}),
    ...(explain ? { explained: planned.explained } : {}),
  };
}
