import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";

import { accessOfKubeconfig } from "./kubeconfig.ts";

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
};

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The named kubeconfig, else the pod's service account, else the user's kubeconfig.
 *
 * @throws {SyncError} CLUSTER_CONFIG
 */
export async function openKubeAccess(options: KubeAccessOptions): Promise<KubeAccess> {
  const { env } = options;
  const host = env["KUBERNETES_SERVICE_HOST"];
  const inCluster =
    options.kubeconfigFile === undefined &&
    host !== undefined &&
    host !== "" &&
    existsSync(`${SERVICE_ACCOUNT}/token`);
  return inCluster
    ? fromServiceAccount(host, env["KUBERNETES_SERVICE_PORT"] ?? "443")
    : accessOfKubeconfig(options);
}

/** In a pod: four files. */
async function fromServiceAccount(host: string, port: string): Promise<KubeAccess> {
  const namespace = (await readFile(`${SERVICE_ACCOUNT}/namespace`, "utf8").catch(() => "")).trim();
  const token = rereadFile(`${SERVICE_ACCOUNT}/token`);
  return {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    namespace: namespace === "" ? undefined : namespace,
    installation: namespace === "" ? hostname() : namespace,
    inCluster: true,
    tls: { ca: await readFile(`${SERVICE_ACCOUNT}/ca.crt`, "utf8") },
    headers: async () => ({ authorization: `Bearer ${(await token()).trim()}` }),
  };
}

/** A file's text, read again when it changed. */
function rereadFile(path: string): () => Promise<string> {
  let kept: { readonly text: string; readonly stamp: string } | undefined;
  return async () => {
    const { mtimeMs, size, ino } = await stat(path);
    const stamp = `${mtimeMs} ${size} ${ino}`;
    if (kept?.stamp !== stamp) kept = { text: await readFile(path, "utf8"), stamp };
    return kept.text;
  };
}
