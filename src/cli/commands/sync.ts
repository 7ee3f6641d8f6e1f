import { syncMirrors } from "../../sync/sync.ts";
import { contextOf, proofsOf } from "../clients.ts";
import { exitCodeOfReport } from "../exit-code.ts";
import type { CommonFlags, Process } from "../process.ts";
import { showRunProgress } from "../progress/show-progress.ts";
import { chooseMirrors, readConfig } from "../read-config.ts";
import { printWarnings } from "../terminal/failure-text.ts";
import { print } from "../terminal/output.ts";
import { renderReport } from "../terminal/report-text.ts";

export type SyncFlags = CommonFlags & { readonly verify?: "presence" | "bytes" };

/** Checks the mirrors once and updates their targets. Returns the exit code. */
export async function syncCommand(
  names: readonly string[],
  flags: SyncFlags,
  process: Process,
): Promise<number> {
  // a mirror without a cluster fails with this reason
  const config = await readConfig(flags, process, { quiet: ["CONFIG_KUBECONFIG"] });
  const mirrors = chooseMirrors(config, names);
  await using proofs = proofsOf(process);
  await using context = contextOf(config, flags, process, { proofs });
  const result = await (async () => {
    using progress = showRunProgress(mirrors, flags, process);
    return await syncMirrors(mirrors, context, {
      signal: process.signal,
      watch: progress.watch,
      verify: flags.verify === "presence" ? "content" : flags.verify,
    });
  })();
  for (const { warnings } of result.mirrors) printWarnings(warnings, process.stderr);
  await print(result, () => renderReport(result, mirrors), flags, process);
  return exitCodeOfReport(result);
}
