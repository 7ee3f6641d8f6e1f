import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";

import { TagferryError } from "../../errors/error.ts";
import type { KubeAccess, KubeAccessOptions } from "./kube-access-types.ts";
import { accessOfKubeconfig } from "./kubeconfig.ts";
import { tokenFile } from "./token-file.ts";

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Uses the kubeconfig that the configuration names, otherwise the pod's service account, otherwise the user's
 * kubeconfig.
 *
 * @throws {TagferryError} CLUSTER_CONFIG
 */
export async function openKubeAccess(options: KubeAccessOptions): Promise<KubeAccess> {
  const { env, serviceAccountDirectory = SERVICE_ACCOUNT } = options;
  const host = env["KUBERNETES_SERVICE_HOST"];
  const inCluster =
    options.kubeconfigFile === undefined &&
    host !== undefined &&
    host !== "" &&
    existsSync(`${serviceAccountDirectory}/token`);
  return inCluster
    ? fromServiceAccount(serviceAccountDirectory, host, env["KUBERNETES_SERVICE_PORT"] ?? "443")
    : accessOfKubeconfig(options);
}

/** Reads the service account of a pod from four files. */
async function fromServiceAccount(directory: string, host: string, port: string): Promise<KubeAccess> {
  const namespace = (await readFile(`${directory}/namespace`, "utf8").catch(() => "")).trim();
  const token = tokenFile(`${directory}/token`);
  return {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    namespace: namespace === "" ? undefined : namespace,
    installation: namespace === "" ? hostname() : namespace,
    inCluster: true,
    tls: { ca: await authorityIn(`${directory}/ca.crt`) },
    headers: async () => ({ authorization: `Bearer ${await token()}` }),
  };
}

async function authorityIn(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new TagferryError("CLUSTER_CONFIG", `no way to the cluster: ${path} cannot be read`, {
      cause,
      where: path,
    });
  }
}
