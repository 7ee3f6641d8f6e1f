import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";

import { describe, expect, test } from "vitest";

import { openKubeAccess } from "../../../src/openshift/access/kube-access.ts";
import { openCluster } from "../../../src/openshift/cluster.ts";
import { startCluster } from "../../support/cluster/cluster.ts";
import { SILENT } from "../../support/registry/client.ts";
import { startRegistry } from "../../support/registry/registry.ts";
import { json } from "../../support/registry/wire.ts";
import { makeCertificates } from "../../support/servers.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../support/temporary.ts";

const CALL = { method: "GET", path: "/apis/image.openshift.io/v1/imagestreams", where: "web/app" } as const;

type Parts = { readonly user?: object; readonly cluster?: object; readonly name?: string };

/** A kubeconfig of one context. */
function kubeconfig({ user = {}, cluster = {}, name = "one" }: Parts = {}): object {
  const server = { server: `https://${name}.example.com:6443` };
  return {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    contexts: [{ name, context: { cluster: name, user: name, namespace: `ns-${name}` } }],
    clusters: [{ name, cluster: { ...server, ...cluster } }],
    users: [{ name, user }],
  };
}

async function written(
  directory: TemporaryDirectory,
  config: object | string,
  name = "kubeconfig",
): Promise<string> {
  const path = directory.join(name);
  await writeFile(path, typeof config === "string" ? config : JSON.stringify(config));
  return path;
}

async function headersOf(
  directory: TemporaryDirectory,
  user: object,
): Promise<Readonly<Record<string, string>>> {
  const kubeconfigFile = await written(directory, kubeconfig({ user }));
  const access = await openKubeAccess({ kubeconfigFile, env: {} });
  return access.headers();
}

const credential = (expirationTimestamp: string): string =>
  JSON.stringify({
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: "from-command", expirationTimestamp },
  });

const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("who a kubeconfig says we are", () => {
  test("is the bearer of its token", async () => {
    await using directory = await temporaryDirectory();
    await expect(headersOf(directory, { token: "abc" })).resolves.toEqual({ authorization: "Bearer abc" });
  });

  test("is a user with a password", async () => {
    await using directory = await temporaryDirectory();
    await expect(headersOf(directory, { username: "admin", password: "s:cret" })).resolves.toEqual({
      authorization: `Basic ${Buffer.from("admin:s:cret").toString("base64")}`,
    });
  });

  test("is nobody when it names nobody", async () => {
    await using directory = await temporaryDirectory();
    await expect(headersOf(directory, {})).resolves.toEqual({});
  });

  test("is the bearer of the token in a file beside it, read again when it is renewed", async () => {
    await using directory = await temporaryDirectory();
    await written(directory, "first\n", "token");
    const user = { token: "stale", tokenFile: "token" };
    const kubeconfigFile = await written(directory, kubeconfig({ user }));
    const access = await openKubeAccess({ kubeconfigFile, env: {} });
    await expect(access.headers()).resolves.toEqual({ authorization: "Bearer first" });
    await written(directory, "renewed\n", "token");
    await expect(access.headers()).resolves.toEqual({ authorization: "Bearer renewed" });
  });

  test("is a fault of the configuration when the token's file is not there", async () => {
    await using directory = await temporaryDirectory();
    const tokenFile = directory.join("none");
    await expect(headersOf(directory, { tokenFile })).rejects.toMatchObject({
      code: "CLUSTER_CONFIG",
      details: { where: tokenFile },
    });
  });

  test("is whom its command says, which runs again only when what it said has run out", async () => {
    await using directory = await temporaryDirectory();
    const command = directory.join("login");
    const script = (expires: string): string =>
      `#!/bin/sh\necho run >> ${directory.join("runs")}\nprintf '%s' '${credential(expires)}'\n`;
    const runs = async (): Promise<number> =>
      (await readFile(directory.join("runs"), "utf8")).trim().split("\n").length;
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command, interactiveMode: "Never" };
    await writeFile(command, script("2999-01-01T00:00:00Z"));
    await chmod(command, 0o755);
    const kubeconfigFile = await written(directory, kubeconfig({ user: { exec } }));
    const access = await openKubeAccess({ kubeconfigFile, env: {} });
    await expect(access.headers()).resolves.toEqual({ authorization: "Bearer from-command" });
    await access.headers();
    expect(await runs()).toBe(1);
    await writeFile(command, script("2001-01-01T00:00:00Z"));
    const short = await openKubeAccess({ kubeconfigFile, env: {} });
    const before = await runs();
    await short.headers();
    await short.headers();
    expect(await runs()).toBe(before + 2);
  });

  test.for<readonly [string, string, string]>([
    ["fails", "#!/bin/sh\necho 'session expired' >&2\nexit 1\n", "session expired"],
    ["says no JSON", "#!/bin/sh\necho hello\n", "JSON"],
  ])("cannot be told when its command %s", async ([, script, why]) => {
    await using directory = await temporaryDirectory();
    const command = await written(directory, script, "login");
    await chmod(command, 0o755);
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command };
    await expect(headersOf(directory, { exec })).rejects.toMatchObject({
      code: "CLUSTER_CONFIG",
      message: expect.stringContaining(why),
    });
  });

  test("is shown by a certificate to the server, which is all that is sent", async () => {
    await using directory = await temporaryDirectory();
    const { ca, server, client } = await makeCertificates();
    const tls = { cert: server.cert, key: server.key, ca: ca.cert };
    await using api = await startRegistry({ tls, other: () => json(200, { items: [] }) });
    const cluster = { server: api.url, "certificate-authority": ca.certFile };
    const user = {
      "client-certificate-data": base64(client.cert),
      "client-key-data": base64(client.key),
    };
    const open = async (who: object) => {
      const kubeconfigFile = await written(directory, kubeconfig({ cluster, user: who }));
      return openCluster({ kubeconfigFile, env: {}, log: SILENT, retry: { attempts: 1 } });
    };
    await using ours = await open(user);
    await expect(ours.call(CALL)).resolves.toMatchObject({ status: 200 });
    await expect(ours.token()).resolves.toBeUndefined();
    expect(api.ledger.entries.map(({ authorization }) => authorization)).toEqual([undefined]);
    await using nobody = await open({});
    await expect(nobody.call(CALL)).rejects.toMatchObject({ code: "CLUSTER_UNREACHABLE" });
  });
});

describe("where a kubeconfig leads", () => {
  test("is its current context: server, namespace, this host as the installation", async () => {
    await using directory = await temporaryDirectory();
    const kubeconfigFile = await written(
      directory,
      kubeconfig({ cluster: { "proxy-url": "http://proxy:3128" } }),
    );
    await expect(openKubeAccess({ kubeconfigFile, env: {} })).resolves.toMatchObject({
      server: new URL("https://one.example.com:6443"),
      namespace: "ns-one",
      installation: hostname(),
      inCluster: false,
      proxy: new URL("http://proxy:3128"),
    });
  });

  test("is another context when that is asked for", async () => {
    await using directory = await temporaryDirectory();
    const second = {
      ...kubeconfig({ name: "two" }),
      contexts: ["one", "two"].map((name) => ({ name, context: { cluster: "two", namespace: "ns-two" } })),
    };
    await written(directory, second, "two");
    const paths = `${await written(directory, kubeconfig())}::${directory.join("none")}:${directory.join("two")}`;
    const access = await openKubeAccess({ context: "two", env: { KUBECONFIG: paths } });
    expect(access).toMatchObject({ server: new URL("https://two.example.com:6443"), namespace: "ns-two" });
    const current = await openKubeAccess({ env: { KUBECONFIG: paths } });
    expect(current, "the first file says which is current, and what it is").toMatchObject({
      namespace: "ns-one",
    });
  });

  test("is the file in the home directory when nothing else is named", async () => {
    await using directory = await temporaryDirectory();
    await mkdir(directory.join(".kube"));
    await written(directory, kubeconfig(), ".kube/config");
    const env = { HOME: directory.path, KUBECONFIG: "" };
    await expect(openKubeAccess({ env })).resolves.toMatchObject({ namespace: "ns-one" });
  });

  test("trusts no certificate but its authority's, unless it says otherwise", async () => {
    await using cluster = await startCluster({ tls: true });
    await using directory = await temporaryDirectory();
    const open = async (more: object) => {
      const parts = { cluster: { server: cluster.apiUrl, ...more }, user: { token: cluster.token } };
      const kubeconfigFile = await written(directory, kubeconfig(parts));
      return openCluster({ kubeconfigFile, env: {}, log: SILENT, retry: { attempts: 1 } });
    };
    await using strict = await open({});
    await expect(strict.call(CALL)).rejects.toMatchObject({
      code: "CLUSTER_UNREACHABLE",
      details: { found: expect.stringMatching(/CERT|SIGNATURE/) },
    });
    expect(cluster.ledger.count(), "no token is sent").toBe(0);
    await using lax = await open({ "insecure-skip-tls-verify": true });
    await expect(lax.call(CALL)).resolves.toMatchObject({ status: 200 });
    await using other = await open({
      "certificate-authority-data": base64(cluster.ca ?? ""),
      "tls-server-name": "api.example.com",
    });
    await expect(other.call(CALL)).rejects.toMatchObject({
      details: { found: expect.stringContaining("ERR_TLS_CERT_ALTNAME_INVALID") },
    });
  });

  test.for<readonly [string, object | string | undefined, string | undefined, string]>([
    ["there is no file", undefined, undefined, "there is no kubeconfig at"],
    ["the file is no YAML", "a: [", undefined, "cannot be read"],
    ["the file is empty", "", undefined, "kubeconfig"],
    [
      "the context is unknown: it says which there are",
      kubeconfig(),
      "prod",
      "no context prod (it has: one)",
    ],
    [
      "no context is current",
      { ...kubeconfig(), "current-context": "" },
      undefined,
      "has no current context",
    ],
    [
      "its server is no address",
      kubeconfig({ cluster: { server: "example" } }),
      undefined,
      '"example" is not',
    ],
    [
      "its authority is not there",
      kubeconfig({ cluster: { "certificate-authority": "/none/ca.crt" } }),
      undefined,
      "/none/ca.crt",
    ],
    ["its proxy is no address", kubeconfig({ cluster: { "proxy-url": "proxy" } }), undefined, "proxy"],
  ])("is a fault of the configuration when %s", async ([, config, context, message]) => {
    await using directory = await temporaryDirectory();
    const kubeconfigFile = config === undefined ? directory.join("none") : await written(directory, config);
    await expect(openKubeAccess({ kubeconfigFile, context, env: {} })).rejects.toMatchObject({
      code: "CLUSTER_CONFIG",
      message: expect.stringContaining(message),
    });
  });
});
