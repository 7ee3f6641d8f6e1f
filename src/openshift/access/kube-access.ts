import { readFile } from "node:fs/promises";
import { hostname } from "node:os";

import { TagferryError } from "../../errors/error.ts";
import { findAccess } from "./find-access.ts";
import type { KubeAccess, KubeAccessOptions } from "./kube-access-types.ts";
import { accessOfKubeconfig } from "./kubeconfig.ts";
import { tokenFile } from "./token-file.ts";

/** @throws {TagferryError} CLUSTER_CONFIG */
export async function openKubeAccess(options: KubeAccessOptions): Promise<KubeAccess> {
  const found = findAccess(options);
  return found.kind === "pod"
    ? fromServiceAccount(found.directory, found.host, found.port)
    : accessOfKubeconfig(found, options);
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
