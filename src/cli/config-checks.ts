import { needsCluster } from "../config/clusters.ts";
import type { Config } from "../config/config.ts";
import type { LoadOptions, UpperProblem } from "../config/file/load.ts";
import { checkSchedules } from "../daemon/triggers/check-schedules.ts";
import { findAccess } from "../openshift/access/find-access.ts";
import { checkTagRules } from "../plan/patterns.ts";
import type { Process } from "./process.ts";

/**
 * All checks of a configuration that need more than its file: the one list for every command, so that `validate` accepts
 * what `serve` and `sync` accept.
 */
export function configChecks({ env }: Pick<Process, "env">): NonNullable<LoadOptions["checks"]> {
  return [checkTagRules, checkSchedules, (config) => checkAccess(config, env)];
}

/** Warns when mirrors write image streams and nothing says how to reach the cluster. */
function checkAccess({ mirrors, cluster }: Config, env: Process["env"]): readonly UpperProblem[] {
  const first = mirrors.findIndex(({ target }) => needsCluster(target));
  if (first === -1 || cluster.kubeconfigFile !== undefined) return [];
  const found = findAccess({ env });
  if (found.kind === "pod" || found.files.length > 0) return [];
  return [
    {
      path: ["mirrors", first, "target"],
      warning: true,
      code: "CONFIG_KUBECONFIG",
      message: `there is no kubeconfig at ${found.where}, and this is not a pod`,
      found: found.where,
    },
  ];
}
