import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";

import { TagferryError } from "../errors/error.ts";
import { accessOfKubeconfig } from "./kubeconfig.ts";
import { tokenFile } from "./token-file.ts";

/** How to reach an API server, and as whom. */
export type KubeAccess = {
  readonly server: URL;
  readonly namespace: string | undefined;
  /** The installation's name when the configuration gives none. */
  readonly installation: string;
  readonly inCluster: boolean;
  readonly tls: KubeTls;
  readonly proxy?: URL;
  /** Asked before each request: tokens are renewed on disk. */
  headers(): Promise<Readonly<Record<string, string>>>;
};

export type KubeTls = {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
};

export type KubeAccessOptions = {
  readonly kubeconfigFile?: string | undefined;
  readonly context?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the files of a pod's service account are. */
  readonly serviceAccountDirectory?: string;
};

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The named kubeconfig, else the pod's service account, else the user's kubeconfig.
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

/** In a pod: four files. */
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
