import { existsSync } from "node:fs";

import type { KubeAccessOptions } from "./kube-access-types.ts";

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Where the access to the cluster is described. `files`: those of `where` that exist. */
export type FoundAccess =
  | { readonly kind: "pod"; readonly directory: string; readonly host: string; readonly port: string }
  | { readonly kind: "kubeconfig"; readonly where: string; readonly files: readonly string[] };

/**
 * Finds the kubeconfig that the configuration names, otherwise the pod's service account, otherwise the user's
 * kubeconfig: $KUBECONFIG, which may name several files, or ~/.kube/config.
 */
export function findAccess({
  kubeconfigFile,
  env,
  serviceAccountDirectory: directory = SERVICE_ACCOUNT,
}: KubeAccessOptions): FoundAccess {
  const host = env["KUBERNETES_SERVICE_HOST"] ?? "";
  if (kubeconfigFile === undefined && host !== "" && existsSync(`${directory}/token`))
    return { kind: "pod", directory, host, port: env["KUBERNETES_SERVICE_PORT"] ?? "443" };
  const where = kubeconfigFile ?? (env["KUBECONFIG"] || `${env["HOME"] ?? "~"}/.kube/config`);
  return {
    kind: "kubeconfig",
    where,
    files: where.split(":").filter((file) => file !== "" && existsSync(file)),
  };
}
