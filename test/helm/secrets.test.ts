import { once } from "node:events";
import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";

import { beforeAll, describe, expect, test } from "vitest";

import { CHART, helm, HELM_TIMEOUT_MS, type KubeObject, parseObjects, prepareHelm } from "../support/helm.ts";
import { temporaryDirectory } from "../support/temporary.ts";

beforeAll(prepareHelm, HELM_TIMEOUT_MS);

type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

const RESOURCES = [
  { name: "secrets", singularName: "secret", namespaced: true, kind: "Secret", verbs: ["get", "list"] },
];

/** The Secrets as Helm leaves them, also after `helm uninstall`, which keeps them. */
const OWNED = {
  namespace: "tagferry",
  labels: { "app.kubernetes.io/managed-by": "Helm" },
  annotations: { "meta.helm.sh/release-name": "tagferry", "meta.helm.sh/release-namespace": "tagferry" },
};

/** The part of the Kubernetes API that Helm uses to look up a Secret: discovery and GET. */
function answerOf(path: string, secrets: Secrets): object | undefined {
  if (path === "/version") return { major: "1", minor: "33", gitVersion: "v1.33.0" };
  if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
  if (path === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: [] };
  if (path === "/api/v1") return { kind: "APIResourceList", groupVersion: "v1", resources: RESOURCES };
  const name = /^\/api\/v1\/namespaces\/tagferry\/secrets\/([\w.-]+)$/.exec(path)?.[1] ?? "";
  const data = secrets[name];
  return data && { apiVersion: "v1", kind: "Secret", metadata: { name, ...OWNED }, data };
}

async function openApi(secrets: Secrets) {
  const server = createServer((request, response) => {
    const answer = answerOf(new URL(request.url ?? "", "http://x").pathname, secrets);
    response.writeHead(answer ? 200 : 404, { "content-type": "application/json" });
    response.end(
      JSON.stringify(answer ?? { kind: "Status", status: "Failure", reason: "NotFound", code: 404 }),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The Secrets that an upgrade in a cluster with these Secrets writes. */
async function upgradeWith(secrets: Secrets): Promise<readonly KubeObject[]> {
  using api = await openApi(secrets);
  await using directory = await temporaryDirectory();
  const chart = directory.join("chart");
  await cp(CHART, chart, { recursive: true });
  // the fake API knows no other kinds
  for (const file of await readdir(resolve(chart, "templates")))
    if (!file.endsWith(".tpl") && file !== "secrets.yaml") await rm(resolve(chart, "templates", file));
  const cluster = {
    clusters: [{ name: "c", cluster: { server: api.url } }],
    users: [{ name: "u", user: {} }],
  };
  const contexts = {
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    "current-context": "c",
  };
  const kubeconfig = directory.join("kubeconfig");
  await writeFile(kubeconfig, JSON.stringify({ apiVersion: "v1", kind: "Config", ...cluster, ...contexts }));
  const { code, stdout, stderr } = await helm(
    "template",
    "tagferry",
    chart,
    "--namespace=tagferry",
    "--dry-run=server",
    "--disable-openapi-validation",
    `--kubeconfig=${kubeconfig}`,
    `--values=${resolve(import.meta.dirname, "values-production.yaml")}`,
  );
  if (code !== 0) throw new Error(stderr);
  return parseObjects(stdout);
}

const dataOf = (objects: readonly KubeObject[]): Secrets =>
  Object.fromEntries(objects.map(({ metadata, data = {} }) => [metadata.name, data]));

describe("the Secrets that the chart makes", () => {
  test("stay what they are at an upgrade", async () => {
    const first = dataOf(await upgradeWith({}));
    expect(Object.keys(first)).toEqual(["tagferry-job-key", "tagferry-redis", "tagferry-redis-tls"]);
    expect(dataOf(await upgradeWith(first))).toEqual(first);
  });

  test("are made anew when one is gone, and the others stay", async () => {
    const first = dataOf(await upgradeWith({}));
    const { "tagferry-redis": password, ...others } = first;
    const second = dataOf(await upgradeWith(others));
    expect(second).toMatchObject(others);
    expect(second["tagferry-redis"]).not.toEqual(password);
  });

  test("of a certificate are made together: half of one is no certificate", async () => {
    const first = dataOf(await upgradeWith({}));
    const { "tls.key": _, ...half } = first["tagferry-redis-tls"] ?? {};
    const second = dataOf(await upgradeWith({ ...first, "tagferry-redis-tls": half }));
    expect(second["tagferry-redis-tls"]?.["ca.crt"]).not.toBe(half["ca.crt"]);
  });
});
