import { writeFile } from "node:fs/promises";

import { describe, expect, test } from "vitest";

import { openCluster } from "../../src/openshift/cluster.ts";
import { makeAuthority } from "../support/certificates.ts";
import { leastPrivilege } from "../support/cluster/access.ts";
import { clusterClient } from "../support/cluster/client.ts";
import { startCluster } from "../support/cluster/cluster.ts";
import { SILENT } from "../support/registry/client.ts";
import { reset } from "../support/registry/connection-faults.ts";
import { html, normally, status } from "../support/registry/faults.ts";
import type { Fault } from "../support/registry/rules.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const STREAMS = "/apis/image.openshift.io/v1/namespaces/mirror/imagestreams";
const LIST = { method: "GET", path: STREAMS, where: "mirror/app" } as const;
const CREATE = {
  method: "POST",
  path: STREAMS,
  where: "mirror/app",
  body: {
    apiVersion: "image.openshift.io/v1",
    kind: "ImageStream",
    metadata: { name: "app", namespace: "mirror" },
  },
} as const;

/** A refusal of the API server in its own words. */
function refusal(code: number, reason: string, message: string, headers = {}): Fault {
  const body = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
  return status(code, { headers, body: JSON.stringify(body) });
}

describe("connections", () => {
  test("never open more sockets than the pool has, however many calls are made at once", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    const many = Array.from({ length: 100 });
    await Promise.all(many.map(() => client.api.call(LIST)));
    expect(cluster.connections.peak).toBeLessThanOrEqual(16);
    const { opened } = cluster.connections;
    await Promise.all(many.map(() => client.api.call(LIST)));
    expect(cluster.connections.opened, "they are kept for the next calls").toBe(opened);
  });

  test("are opened again when the server broke them", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    cluster.on({ method: "GET" }, reset(), normally);
    expect((await client.api.call(LIST)).status).toBe(200);
    expect(cluster.ledger.count({ method: "GET" })).toBe(2);
  });

  test("that are refused are an unreachable server", async () => {
    const cluster = await startCluster();
    await using client = await clusterClient(cluster);
    await cluster.close();
    await expect(client.api.call(LIST)).rejects.toMatchObject({
      code: "CLUSTER_UNREACHABLE",
      details: { where: "mirror/app", found: expect.stringContaining("ECONNREFUSED") },
    });
  });

  test("are not made to a server whose certificate another authority signed", async () => {
    await using cluster = await startCluster({ tls: true });
    const { ca } = await makeAuthority("tagferry-test-nobody");
    const kubeconfig = cluster.kubeconfig.replace(
      Buffer.from(cluster.ca ?? "").toString("base64"),
      Buffer.from(ca.cert).toString("base64"),
    );
    await using client = await clusterClient({ kubeconfig, token: cluster.token });
    await expect(client.api.call(LIST)).rejects.toMatchObject({
      code: "CLUSTER_UNREACHABLE",
      details: { found: expect.stringMatching(/CERT|SIGNATURE/) },
    });
    expect(cluster.ledger.count()).toBe(0);
  });

  test("trust the authority of the kubeconfig, and keep the path of the server's address", async () => {
    await using cluster = await startCluster({ tls: true });
    const kubeconfig = cluster.kubeconfig.replace(cluster.apiUrl, `${cluster.apiUrl}/k8s/clusters/c-1/`);
    await using client = await clusterClient({ kubeconfig, token: cluster.token });
    await client.api.call({ ...LIST, expect: [404] });
    expect(cluster.ledger.entries.map(({ path }) => path)).toEqual([`/k8s/clusters/c-1${STREAMS}`]);
  });

  test("are let go of when the caller stops", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    const stop = new AbortController();
    const arrived = cluster.gate(1);
    const call = client.api.call(LIST, { signal: stop.signal });
    const thrown = call.catch((error: unknown) => error);
    await arrived;
    stop.abort(new Error("enough"));
    await expect(thrown).resolves.toBe(stop.signal.reason);
    expect(cluster.ledger.count(), "stopping is no trouble to try again").toBe(1);
  });

  test("that stay silent are given up after the call's own time", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster, { retry: { attempts: 1 } });
    const arrived = cluster.gate(1);
    const call = client.api.call({ ...LIST, timeoutMs: 50 });
    await expect(call).rejects.toMatchObject({ code: "CLUSTER_UNREACHABLE" });
    void arrived.then((held) => held.release()); // on a busy machine it may not even have arrived
  });
});

describe("refusals", () => {
  test("of a token the cluster does not know are final", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster, { as: "sha256~stale" });
    await expect(client.api.call(LIST)).rejects.toMatchObject({
      code: "CLUSTER_DENIED",
      details: { status: 401, next: expect.stringContaining("oc login") },
    });
    expect(cluster.ledger.count()).toBe(1);
  });

  test("by RBAC name the verb, the resource and what grants it where, and are final", async () => {
    await using cluster = await startCluster({ users: [{ name: "robot", rules: [] }] });
    await using client = await clusterClient(cluster);
    await expect(client.api.call(CREATE)).rejects.toMatchObject({
      code: "CLUSTER_DENIED",
      message: expect.stringContaining("mirror/app: we may not create imagestreams"),
      details: {
        status: 403,
        reason: "Forbidden",
        found: expect.stringContaining('User "robot" cannot create'),
        namespace: "mirror",
        account: "robot",
      },
    });
    expect(cluster.ledger.count()).toBe(1);
  });

  test("by RBAC are no matter of quotas, though the user is called so", async () => {
    const users = [{ name: "system:serviceaccount:rate-limits:quota", rules: [] }];
    await using cluster = await startCluster({ users });
    await using client = await clusterClient(cluster);
    await expect(client.api.call(CREATE)).rejects.toMatchObject({ code: "CLUSTER_DENIED" });
  });

  test("do not touch what the documented rights allow", async () => {
    const users = [{ name: "robot", rules: leastPrivilege(["mirror"]) }];
    await using cluster = await startCluster({ users });
    await using client = await clusterClient(cluster);
    expect((await client.api.call(CREATE)).status).toBe(201);
  });

  test("by a quota are the quota's", async () => {
    await using cluster = await startCluster();
    cluster.setLimits("mirror", { imageStreams: 0 });
    await using client = await clusterClient(cluster);
    await expect(client.api.call(CREATE)).rejects.toMatchObject({
      code: "TARGET_QUOTA",
      details: { found: expect.stringContaining("exceeded quota") },
    });
    expect(cluster.ledger.count()).toBe(1);
  });

  test("of a namespace that is not there name it", async () => {
    await using cluster = await startCluster({ namespaces: ["other"] });
    await using client = await clusterClient(cluster);
    await expect(client.api.call(CREATE)).rejects.toMatchObject({ code: "STREAM_NAMESPACE" });
    expect(cluster.ledger.count()).toBe(1);
  });

  test.for<readonly [string, string, number, Fault]>([
    [
      "a namespace that is going away",
      "STREAM_NAMESPACE",
      1,
      refusal(
        403,
        "Forbidden",
        'imagestreams "app" is forbidden: unable to create new content in namespace mirror because it is being terminated',
      ),
    ],
    ["a conflict", "STREAM_CONFLICT", 1, refusal(409, "Conflict", "the object has been modified")],
    [
      "trouble of etcd",
      "CLUSTER_UNREACHABLE",
      3,
      refusal(500, "InternalError", "etcdserver: leader changed"),
    ],
    ["a server that starts", "CLUSTER_UNREACHABLE", 3, refusal(503, "ServiceUnavailable", "")],
    ["a router that waited too long", "CLUSTER_UNREACHABLE", 3, html(504, "Gateway Time-out")],
    ["a portal's page instead of JSON", "CLUSTER_ANSWER", 3, html(200)],
  ])("such as %s are %s after %i requests", async ([, code, requests, fault]) => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    cluster.on({ always: true }, fault);
    await expect(client.api.call(LIST)).rejects.toMatchObject({ code, details: { where: "mirror/app" } });
    expect(cluster.ledger.count()).toBe(requests);
  });

  test("are shown as they are worded, without control characters, and not at any length", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    cluster.on({ always: true }, refusal(422, "Invalid", `\u001b[31m${"x".repeat(9000)}`));
    const error: unknown = await client.api.call(LIST).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "STREAM_INVALID",
      details: { found: expect.stringMatching(/^\\u001b\[31mx+…$/) },
    });
    expect(JSON.stringify(error).length).toBeLessThan(1_500);
  });

  test("that the caller expects are answers", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    const answer = await client.api.call({ ...LIST, path: `${STREAMS}/none`, expect: [404] });
    expect(answer).toMatchObject({ status: 404, body: { reason: "NotFound" } });
  });
});

const busy = (seconds: number): Fault =>
  refusal(429, "TooManyRequests", "please try again later", { "retry-after": String(seconds) });

describe("a server that is too busy", () => {
  test("is asked again after the time it names, not earlier", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    cluster.on({}, busy(1));
    expect((await client.api.call(LIST)).status).toBe(200);
    const [first, second] = cluster.ledger.entries;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(900);
  });

  test("is the caller's failure, with the time to come back, when it wants longer than we wait", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    cluster.on({ always: true }, busy(3_600));
    const error: unknown = await client.api.call(LIST).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "CLUSTER_UNREACHABLE", details: { retryAt: expect.any(String) } });
    const { retryAt } = (error as { details: { retryAt: string } }).details;
    expect(Date.parse(retryAt) - Date.now()).toBeGreaterThan(3_500_000);
    expect(cluster.ledger.count()).toBe(1);
  });
});

describe("what the integrated registry is logged in to with", () => {
  test("is the token of the kubeconfig", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    await expect(client.api.token()).resolves.toBe(cluster.token);
  });

  test("is nothing for a user with a password", async () => {
    await using cluster = await startCluster();
    await using directory = await temporaryDirectory();
    const kubeconfigFile = directory.join("kubeconfig");
    const user = "username: admin\n      password: secret";
    await writeFile(kubeconfigFile, cluster.kubeconfig.replace(`token: ${cluster.token}`, user));
    await using api = await openCluster({ kubeconfigFile, env: {}, log: SILENT });
    await expect(api.token()).resolves.toBeUndefined();
  });
});
