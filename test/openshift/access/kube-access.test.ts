import { mkdir, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";

import { describe, expect, test } from "vitest";

import { openKubeAccess } from "../../../src/openshift/access/kube-access.ts";
import { openCluster } from "../../../src/openshift/cluster.ts";
import { startCluster, type TestCluster } from "../../support/cluster/cluster.ts";
import { SILENT } from "../../support/registry/client.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../support/temporary.ts";

const CALL = { method: "GET", path: "/apis/image.openshift.io/v1/imagestreams", where: "web/app" } as const;

/** The files that a pod finds, and its environment. */
async function podOf(
  { path }: TemporaryDirectory,
  { token, ca, apiUrl }: Pick<TestCluster, "token" | "ca" | "apiUrl">,
) {
  const directory = `${path}/serviceaccount`;
  await mkdir(directory);
  await writeFile(`${directory}/token`, token);
  await writeFile(`${directory}/ca.crt`, ca ?? "");
  await writeFile(`${directory}/namespace`, "web\n");
  const { hostname: host, port } = new URL(apiUrl);
  return {
    serviceAccountDirectory: directory,
    env: { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, HOME: path },
  };
}

describe("in a pod", () => {
  test("its service account is who we are, and its namespace names the installation", async () => {
    await using cluster = await startCluster({ tls: true });
    await using directory = await temporaryDirectory();
    const pod = await podOf(directory, cluster);
    await using api = await openCluster({ ...pod, log: SILENT });
    expect(api.access).toMatchObject({ inCluster: true, namespace: "web", installation: "web" });
    await api.call(CALL);
    expect(cluster.ledger.entries.map((entry) => cluster.userOf(entry))).toEqual(["tagferry"]);
  });

  test("a token that was renewed on disk is used by the next request", async () => {
    await using cluster = await startCluster({ tls: true });
    await using directory = await temporaryDirectory();
    const pod = await podOf(directory, cluster);
    await using api = await openCluster({ ...pod, log: SILENT });
    await api.call(CALL);
    const { token } = cluster.addUser({ name: "tagferry", token: "renewed-token" });
    cluster.revokeToken(cluster.token);
    await writeFile(`${pod.serviceAccountDirectory}/token`, token);
    await expect(api.call(CALL)).resolves.toMatchObject({ status: 200 });
    await expect(api.token()).resolves.toBe(token);
  });

  test("a kubeconfig that is named wins", async () => {
    await using cluster = await startCluster({ tls: true });
    await using directory = await temporaryDirectory();
    const pod = await podOf(directory, cluster);
    const kubeconfigFile = await cluster.writeKubeconfig(directory.path);
    const access = await openKubeAccess({ ...pod, kubeconfigFile });
    expect(access).toMatchObject({ inCluster: false, namespace: "default", installation: hostname() });
  });

  test("without a namespace file the host names the installation", async () => {
    await using directory = await temporaryDirectory();
    const pod = await podOf(directory, { token: "t", ca: "ca", apiUrl: "https://10.0.0.1" });
    await rm(`${pod.serviceAccountDirectory}/namespace`);
    const access = await openKubeAccess(pod);
    expect(access).toMatchObject({ namespace: undefined, installation: hostname() });
  });

  test.for([
    ["fd00::1", "6443", "https://[fd00::1]:6443/"],
    ["10.0.0.1", undefined, "https://10.0.0.1/"],
  ] as const)("the server of %s port %s is %s", async ([host, port, expected]) => {
    await using directory = await temporaryDirectory();
    const pod = await podOf(directory, { token: "t", ca: "ca", apiUrl: "https://10.0.0.1" });
    const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port };
    expect((await openKubeAccess({ ...pod, env })).server.href).toBe(expected);
  });

  test("without the cluster's authority nothing is sent", async () => {
    await using directory = await temporaryDirectory();
    const pod = await podOf(directory, { token: "t", ca: "ca", apiUrl: "https://10.0.0.1" });
    const where = `${pod.serviceAccountDirectory}/ca.crt`;
    await rm(where);
    await expect(openKubeAccess(pod)).rejects.toMatchObject({ code: "CLUSTER_CONFIG", details: { where } });
  });
});

test("in a pod without a service account the user's kubeconfig is looked for", async () => {
  await using directory = await temporaryDirectory();
  const options = {
    serviceAccountDirectory: directory.join("none"),
    env: { KUBERNETES_SERVICE_HOST: "10.0.0.1", HOME: directory.path },
  };
  await expect(openKubeAccess(options)).rejects.toMatchObject({
    code: "CLUSTER_CONFIG",
    details: { where: directory.join(".kube", "config") },
  });
});
