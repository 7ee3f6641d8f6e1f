import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { AuthorizationV1Api, CoreV1Api, CustomObjectsApi, KubeConfig, Watch } from "@kubernetes/client-node";
import { describe, expect, test } from "vitest";

import { leastPrivilege } from "../support/cluster/access.ts";
import { apiOf, registryOf } from "../support/cluster/ask.ts";
import { startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import type { ImageStream } from "../support/cluster/objects.ts";
import { addEvent, type NewEvent } from "../support/cluster/stream-events.ts";
import { buildImage, buildIndex, pushTo } from "../support/images/images.ts";
import { status } from "../support/registry/faults.ts";
import { skopeo, startDockerRegistry } from "../support/servers.ts";

const A = `sha256:${"a".repeat(64)}`;
const B = `sha256:${"b".repeat(64)}`;
const MERGE = "application/merge-patch+json";

function kubeConfig({ kubeconfig }: TestCluster): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  return config;
}

const GROUP = { group: "image.openshift.io", version: "v1", plural: "imagestreams" };

describe("history of a tag", () => {
  const first: NewEvent = { dockerImageReference: `a@${A}`, image: A, generation: 1 };

  test.for([
    ["nothing at all", {}, false, 1],
    ["the generation alone", { generation: 2 }, true, 1],
    ["the image under the same reference", { image: B }, true, 1],
    ["the reference of the same image", { dockerImageReference: `b@${A}` }, true, 1],
    ["reference and image", { dockerImageReference: `b@${B}`, image: B }, true, 2],
  ] as const)("when %s changes", ([, change, changed, items]) => {
    const stream = { metadata: { name: "app" }, spec: {}, status: {} } as ImageStream;
    addEvent(stream, "1", first);
    const entry = stream.status.tags?.[0];
    if (entry)
      entry.conditions = [
        {
          type: "ImportSuccess",
          status: "False",
          lastTransitionTime: "",
          reason: "",
          message: "",
          generation: 1,
        },
      ];
    expect(addEvent(stream, "1", { ...first, ...change })).toBe(changed);
    expect(entry?.items).toHaveLength(items);
    expect(entry?.items?.[0]).toMatchObject({ ...first, ...change });
    expect(entry?.conditions === undefined).toBe(changed);
  });
});

describe("generations", () => {
  test("move with the spec, and of a tag only where its source moved", async () => {
    await using cluster = await startCluster();
    const api = apiOf(cluster);
    const from = { kind: "DockerImage", name: "127.0.0.1:1/a:1" };
    await api("POST", "imagestreams", { metadata: { name: "app" }, spec: { tags: [{ name: "1", from }] } });
    await cluster.idle();
    const generations = (): unknown[] => {
      const stream = cluster.stream("mirror", "app");
      return [stream?.metadata.generation, stream?.spec.tags?.[0]?.generation];
    };
    const patch = (tag: object) =>
      api(
        "PATCH",
        "imagestreams/app",
        { spec: { tags: [{ name: "1", ...tag }] } },
        "application/strategic-merge-patch+json",
      );
    expect(generations()).toEqual([1, 1]);
    await patch({ importPolicy: { scheduled: true } });
    expect(generations()).toEqual([2, 1]);
    await patch({ from: { kind: "DockerImage", name: "127.0.0.1:1/a:2" } });
    expect(generations()).toEqual([3, 3]);
    await api("PATCH", "imagestreams/app", { metadata: { labels: { team: "a" } } }, MERGE);
    expect(generations()).toEqual([3, 3]);
    await cluster.idle();
  });

  test("a write that changes nothing keeps the resourceVersion, and nobody writes status", async () => {
    await using cluster = await startCluster();
    cluster.seedStream("mirror", "app", {
      tags: { "1": { history: [{ image: A, reference: `q/a@${A}` }] } },
    });
    const before = cluster.stream("mirror", "app");
    const api = apiOf(cluster);
    const empty = await api("PATCH", "imagestreams/app", { status: { tags: [] } }, MERGE);
    expect(empty.status).toBe(200);
    expect(cluster.stream("mirror", "app")).toEqual(before);
  });
});

describe("tags that name another image stream", () => {
  const source = { tags: { "1": { history: [{ image: A, reference: `quay.io/a/b@${A}` }] } } };

  test("are resolved while the write is judged, and do not follow another stream later", async () => {
    await using cluster = await startCluster();
    cluster.seedStream("mirror", "from", source);
    const from = { kind: "ImageStreamTag", name: "from:1" };
    await apiOf(cluster)("PUT", "imagestreamtags/to:1", { metadata: { name: "to:1" }, tag: { from } });
    const events = () => cluster.stream("mirror", "to")?.status.tags?.[0]?.items;
    expect(events()).toMatchObject([{ image: A, dockerImageReference: `quay.io/a/b@${A}` }]);
    const image = buildImage();
    const target = { url: cluster.registryUrl, authorization: `Bearer ${cluster.token}` };
    await pushTo(target, "mirror/from", image, "1");
    expect(events()).toHaveLength(1);
    const promoted = { kind: "ImageStreamImage", name: `from@${image.manifest.digest}` };
    await apiOf(cluster)("PUT", "imagestreamtags/to:2", {
      metadata: { name: "to:2" },
      tag: { from: promoted },
    });
    expect(cluster.stream("mirror", "to")?.status.tags?.[1]?.items?.[0]?.dockerImageReference).toBe(
      `${cluster.registryHost}/mirror/to@${image.manifest.digest}`,
    );
  });

  test("need the right to pull from it, and a stream that exists", async () => {
    const users = [{ name: "one", rules: leastPrivilege(["mirror"]) }];
    await using cluster = await startCluster({ users, namespaces: ["mirror", "other"] });
    cluster.seedStream("other", "from", source);
    const put = (from: object) =>
      apiOf(cluster)("PUT", "imagestreamtags/to:1", { metadata: { name: "to:1" }, tag: { from } });
    expect(await put({ kind: "ImageStreamTag", namespace: "other", name: "from:1" })).toMatchObject({
      status: 422,
    });
    expect(await put({ kind: "ImageStreamTag", name: "none:1" })).toMatchObject({ status: 422 });
  });
});

describe("ImageStreamMapping", () => {
  test("names a missing stream by its own kind, and gives a managed image that was imported before a local reference", async () => {
    await using cluster = await startCluster();
    const api = apiOf(cluster);
    const image = {
      metadata: { name: A, annotations: { "openshift.io/image.managed": "true" } },
      dockerImageReference: `elsewhere/a@${A}`,
    };
    const map = () => api("POST", "imagestreammappings", { metadata: { name: "app" }, tag: "1", image });
    expect(await map()).toMatchObject({
      status: 404,
      body: { details: { kind: "imagestreammappings", name: "app" } },
    });
    cluster.seedStream("mirror", "app", {
      tags: { old: { history: [{ image: A, reference: `q/a@${A}` }] } },
    });
    expect(await map()).toMatchObject({
      status: 201,
      body: { kind: "Status", status: "Success", code: 201 },
    });
    const [tag] = cluster.stream("mirror", "app")?.status.tags ?? [];
    expect(tag?.items?.[0]?.dockerImageReference).toBe(`${cluster.registryHost}/mirror/app@${A}`);
    const before = cluster.stream("mirror", "app");
    await map();
    expect(cluster.stream("mirror", "app")).toEqual(before);
  });
});

describe("who may", () => {
  test("is answered in the words of RBAC, of SelfSubjectAccessReview and of SelfSubjectReview", async () => {
    const users = [{ name: "robot", rules: leastPrivilege(["mirror"]) }];
    await using cluster = await startCluster({ users, namespaces: ["mirror", "other"] });
    const api = apiOf(cluster);
    const denied = await api("GET", "/apis/image.openshift.io/v1/namespaces/other/imagestreams/app");
    expect(denied).toMatchObject({ status: 403, body: { details: { name: "app", kind: "imagestreams" } } });
    expect(denied.body.message).toBe(
      'imagestreams.image.openshift.io "app" is forbidden: User "robot" cannot get resource "imagestreams" in API group "image.openshift.io" in the namespace "other"',
    );
    const authorization = kubeConfig(cluster).makeApiClient(AuthorizationV1Api);
    const review = (namespace: string) =>
      authorization.createSelfSubjectAccessReview({
        body: {
          spec: {
            resourceAttributes: {
              namespace,
              verb: "update",
              group: "image.openshift.io",
              resource: "imagestreams",
              subresource: "layers",
            },
          },
        },
      });
    expect((await review("mirror")).status?.allowed).toBe(true);
    expect((await review("other")).status?.allowed).toBe(false);
    const me = await api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {});
    expect(me.body).toMatchObject({ status: { userInfo: { username: "robot" } } });
  });

  test("nobody with a token that was revoked", async () => {
    await using cluster = await startCluster();
    const api = apiOf(cluster);
    cluster.revokeToken(cluster.token);
    expect(await api("GET", "imagestreams")).toEqual({ status: 401, body: {} });
    const next = cluster.addUser({ name: "tagferry", token: "rotated" });
    expect(await apiOf(cluster, next.token)("GET", "imagestreams")).toMatchObject({ status: 200 });
  });

  test("creates in no namespace that does not exist, nor beyond its quota", async () => {
    await using cluster = await startCluster();
    const api = apiOf(cluster);
    const path = "/apis/image.openshift.io/v1/namespaces/none/imagestreams";
    const lost = await api("POST", path, { metadata: { name: "app" } });
    expect(lost).toMatchObject({ status: 404, body: { details: { kind: "namespaces", name: "none" } } });
    cluster.setLimits("mirror", { imageStreams: 1 });
    expect(await api("POST", "imagestreams", { metadata: { name: "one" } })).toMatchObject({ status: 201 });
    const second = await api("POST", "imagestreams", { metadata: { name: "two" } });
    expect(second).toMatchObject({ status: 403 });
    expect(second.body.message).toContain("exceeded quota");
  });
});

describe("managedFields", () => {
  test("tell who wrote a tag of the spec, and not that an import or a push did", async () => {
    await using cluster = await startCluster();
    cluster.seedStream("mirror", "app", {
      tags: { "1": { from: "127.0.0.1:1/a:1" } },
      manager: "argocd-controller",
    });
    cluster.editStream("mirror", "app", "kubectl-edit", ({ spec }) => {
      if (spec.tags?.[0]) spec.tags[0].importPolicy.scheduled = true;
    });
    await cluster.idle();
    const target = { url: cluster.registryUrl, authorization: `Bearer ${cluster.token}` };
    await pushTo(target, "mirror/app", buildImage(), "2");
    const fields = cluster.stream("mirror", "app")?.metadata.managedFields;
    expect(fields?.map(({ manager }) => manager).toSorted()).toEqual(["argocd-controller", "kubectl-edit"]);
    const edited = fields?.find(({ manager }) => manager === "kubectl-edit")?.fieldsV1;
    expect(edited).toEqual({ "f:spec": { "f:tags": { 'k:{"name":"1"}': { "f:importPolicy": {} } } } });
  });

  test("§11: are not recorded for a stream that was made with nothing but its name", async () => {
    await using cluster = await startCluster();
    const managersOf = (name: string): number =>
      cluster.stream("mirror", name)?.metadata.managedFields?.length ?? 0;
    const call = apiOf(cluster);
    await call("POST", "imagestreams", madeAs({ name: "bare" }));
    await call("POST", "imagestreams", madeAs({ name: "noted", annotations: { "example.com/a": "b" } }));
    const patch = { spec: { tags: [{ name: "1", from: { kind: "DockerImage", name: "quay.io/o/app:1" } }] } };
    for (const name of ["bare", "noted"])
      await call("PATCH", `imagestreams/${name}`, patch, "application/strategic-merge-patch+json");
    expect([managersOf("bare"), managersOf("noted")]).toEqual([0, 1]);
  });

  test("take the manager from the request", async () => {
    await using cluster = await startCluster();
    await apiOf(cluster)("POST", "imagestreams?fieldManager=tagferry", {
      metadata: { name: "app", annotations: { "tagferry.io/owner": "us" } },
    });
    expect(cluster.stream("mirror", "app")?.metadata.managedFields).toMatchObject([
      { manager: "tagferry", fieldsV1: { "f:metadata": { "f:annotations": { "f:tagferry.io/owner": {} } } } },
    ]);
  });
});

type Seen = { readonly type: string; readonly name: string; readonly code?: number };

/** Opens a watch and yields its events. */
async function watch(cluster: TestCluster, parameters: Record<string, string | boolean | undefined> = {}) {
  const waiting: ((seen: Seen) => void)[] = [];
  const queue: Seen[] = [];
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const controller = await new Watch(kubeConfig(cluster)).watch(
    "/apis/image.openshift.io/v1/namespaces/mirror/imagestreams",
    parameters,
    (type: string, object: { metadata?: { name?: string }; code?: number }) => {
      const seen = { type, name: object.metadata?.name ?? "", ...(object.code ? { code: object.code } : {}) };
      const taker = waiting.shift();
      if (taker) taker(seen);
      else queue.push(seen);
    },
    () => end(),
  );
  const next = (): Promise<Seen> => {
    const ready = queue.shift();
    return ready ? Promise.resolve(ready) : new Promise((resolve) => waiting.push(resolve));
  };
  return { next, ended, stop: () => controller.abort() };
}

describe("a watch", () => {
  test("begins with what is there, then tells every write, with bookmarks when asked", async () => {
    await using cluster = await startCluster({ namespaces: ["mirror", "other"] });
    cluster.seedStream("mirror", "one");
    const { next, stop } = await watch(cluster, { allowWatchBookmarks: true });
    expect(await next()).toEqual({ type: "ADDED", name: "one" });
    cluster.seedStream("other", "not-ours");
    cluster.seedStream("mirror", "two");
    expect(await next()).toEqual({ type: "ADDED", name: "two" });
    cluster.seedStream("mirror", "two", { labels: { a: "b" } });
    expect(await next()).toEqual({ type: "MODIFIED", name: "two" });
    cluster.sendBookmarks();
    expect(await next()).toMatchObject({ type: "BOOKMARK" });
    await apiOf(cluster)("DELETE", "imagestreams/one");
    expect(await next()).toEqual({ type: "DELETED", name: "one" });
    stop();
  });

  test("goes on from a version, and answers 410 to one that is forgotten", async () => {
    await using cluster = await startCluster();
    const { resourceVersion } = cluster.seedStream("mirror", "one").metadata;
    cluster.seedStream("mirror", "two");
    const { next, stop } = await watch(cluster, { resourceVersion });
    expect(await next()).toEqual({ type: "ADDED", name: "two" });
    stop();
    cluster.compact();
    const late = await watch(cluster, { resourceVersion });
    expect(await late.next()).toMatchObject({ type: "ERROR", code: 410 });
    await late.ended;
  });

  test("ends when the server says so", async () => {
    await using cluster = await startCluster();
    cluster.seedStream("mirror", "one");
    const { next, ended } = await watch(cluster);
    await next();
    expect(cluster.watchers).toBe(1);
    cluster.endWatches();
    await ended;
    expect(cluster.watchers).toBe(0);
  });
});

describe("lists and other objects", () => {
  test("come in pages, narrowed by selectors", async () => {
    await using cluster = await startCluster();
    for (const name of ["a", "b", "c"]) cluster.seedStream("mirror", name, { labels: { name, odd: "yes" } });
    const streams = kubeConfig(cluster).makeApiClient(CustomObjectsApi);
    const list = async (options: object): Promise<[string[], string]> => {
      const page = (await streams.listNamespacedCustomObject({
        ...GROUP,
        namespace: "mirror",
        ...options,
      })) as {
        items: ImageStream[];
        metadata: { _continue?: string; continue?: string };
      };
      return [page.items.map(({ metadata }) => metadata.name), page.metadata.continue ?? ""];
    };
    const [first, token] = await list({ limit: 2 });
    expect(first).toEqual(["a", "b"]);
    expect((await list({ limit: 2, _continue: token }))[0]).toEqual(["c"]);
    expect((await list({ labelSelector: "odd,name!=b" }))[0]).toEqual(["a", "c"]);
    expect((await list({ fieldSelector: "metadata.name=c" }))[0]).toEqual(["c"]);
  });

  test("events are made, counted up by a patch, and found by what they are about", async () => {
    await using cluster = await startCluster();
    const core = kubeConfig(cluster).makeApiClient(CoreV1Api);
    const involvedObject = { kind: "ImageStream", namespace: "mirror", name: "app" };
    const body = { metadata: { generateName: "app." }, involvedObject, reason: "Failed", count: 1 };
    const { metadata } = await core.createNamespacedEvent({ namespace: "mirror", body });
    const path = `/api/v1/namespaces/mirror/events/${metadata.name}`;
    expect(await apiOf(cluster)("PATCH", path, { count: 2 }, MERGE)).toMatchObject({ status: 200 });
    const found = await core.listNamespacedEvent({
      namespace: "mirror",
      fieldSelector: "involvedObject.name=app",
    });
    expect(found.items.map(({ count }) => count)).toEqual([2]);
    const { items } = await core.listNamespace();
    expect(items.map((item) => item.metadata?.name)).toEqual(["mirror"]);
  });

  test("the cluster tells its registry and its rules for imports", async () => {
    await using cluster = await startCluster({ allowedRegistries: ["quay.io"] });
    const { body } = await apiOf(cluster)("GET", "/apis/config.openshift.io/v1/images/cluster");
    expect(body).toMatchObject({
      spec: { allowedRegistriesForImport: [{ domainName: "quay.io" }] },
      status: { internalRegistryHostname: cluster.registryHost },
    });
  });
});

describe("a cluster in trouble", () => {
  test("answers a fault once, with or without having acted", async () => {
    await using cluster = await startCluster();
    const api = apiOf(cluster);
    const gone = {
      body: JSON.stringify({ kind: "Status", status: "Failure", code: 504, reason: "Timeout" }),
    };
    cluster.on({ method: "POST" }, status(504, gone), async (_request, respondNormally) => {
      await respondNormally();
      return { status: 504, headers: {}, body: Buffer.from(gone.body) };
    });
    expect(await api("POST", "imagestreams", { metadata: { name: "one" } })).toMatchObject({ status: 504 });
    expect(cluster.stream("mirror", "one")).toBeUndefined();
    expect(await api("POST", "imagestreams", { metadata: { name: "two" } })).toMatchObject({ status: 504 });
    expect(cluster.stream("mirror", "two")).toBeDefined();
    expect(await api("POST", "imagestreams", { metadata: { name: "three" } })).toMatchObject({ status: 201 });
  });

  test("holds a request until it is released, and puts both servers' requests in one order", async () => {
    await using cluster = await startCluster();
    const held = cluster.registry.gate({ kind: "ping" });
    const ping = registryOf(cluster)("GET", "");
    const gate = await held;
    await apiOf(cluster)("GET", "imagestreams");
    gate.release();
    expect((await ping).status).toBe(200);
    const [first] = cluster.registryLedger.entries;
    const [second] = cluster.ledger.entries;
    expect(first?.sequence).toBeLessThan(second?.sequence ?? 0);
    expect(second && cluster.userOf(second)).toBe("tagferry");
    expect(second?.at).toBeLessThan(first?.endedAt ?? 0);
  });

  test("loses what no stream names to the pruner", async () => {
    await using cluster = await startCluster();
    const target = { url: cluster.registryUrl, authorization: `Bearer ${cluster.token}` };
    const [kept, lost] = [buildImage({ seed: "kept" }), buildImage({ seed: "lost" })];
    await pushTo(target, "mirror/app", kept, "1");
    await pushTo(target, "mirror/app", lost);
    cluster.prune();
    expect(cluster.image(kept.manifest.digest)).toBeDefined();
    expect(cluster.image(lost.manifest.digest)).toBeUndefined();
    expect(cluster.registry.missing("mirror/app", kept.manifest.digest)).toEqual([]);
    for (const digest of lost.blobs.keys())
      expect(cluster.registry.hasBlob("mirror/app", digest)).toBe(false);
  });

  test("deletes no manifest that a stream still names", async () => {
    await using cluster = await startCluster();
    const image = buildImage();
    const target = { url: cluster.registryUrl, authorization: `Bearer ${cluster.token}` };
    await pushTo(target, "mirror/app", image, "1");
    const answer = await registryOf(cluster)("DELETE", `mirror/app/manifests/${image.manifest.digest}`);
    expect(answer.status).toBe(405);
  });
});

describe("real clients", () => {
  test("log in with the kubeconfig over TLS", async () => {
    await using cluster = await startCluster({ tls: true });
    const directory = await mkdtemp(join(tmpdir(), "tagferry-kubeconfig-"));
    const file = await cluster.writeKubeconfig(directory);
    expect(await readFile(file, "utf8")).toBe(cluster.kubeconfig);
    const config = new KubeConfig();
    config.loadFromFile(file);
    await rm(directory, { recursive: true });
    cluster.seedStream("mirror", "app");
    const streams = config.makeApiClient(CustomObjectsApi);
    const stream: unknown = await streams.getNamespacedCustomObject({
      ...GROUP,
      namespace: "mirror",
      name: "app",
    });
    expect(stream).toMatchObject({ metadata: { name: "app" } });
  });

  test("skopeo copies an index into a stream and out again", async () => {
    await using cluster = await startCluster();
    await using plain = await startDockerRegistry();
    const index = buildIndex();
    await pushTo({ url: plain.url }, "org/app", index, "1");
    const credentials = `robot:${cluster.token}`;
    const stream = `docker://${cluster.registryHost}/mirror/app:1`;
    await skopeo([
      ..."copy --all --src-tls-verify=false --dest-tls-verify=false --dest-creds".split(" "),
      credentials,
      `docker://${plain.host}/org/app:1`,
      stream,
    ]);
    expect(cluster.stream("mirror", "app")?.status.tags?.[0]?.items?.[0]?.image).toBe(index.manifest.digest);
    expect(cluster.registry.missing("mirror/app", index.manifest.digest)).toEqual([]);
    await skopeo([
      ..."copy --all --src-tls-verify=false --dest-tls-verify=false --src-creds".split(" "),
      credentials,
      stream,
      `docker://${plain.host}/back/app:1`,
    ]);
  });
});

function madeAs(metadata: object): object {
  return { apiVersion: "image.openshift.io/v1", kind: "ImageStream", metadata };
}
