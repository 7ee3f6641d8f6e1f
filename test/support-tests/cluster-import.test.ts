import { describe, expect, test } from "vitest";

import { apiOf } from "../support/cluster/ask.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { buildImage, buildIndex, pushTo } from "../support/images/images.ts";
import { registryError, status } from "../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";

type Both = { cluster: TestCluster; upstream: TestRegistry } & AsyncDisposable;

async function startBoth(
  options: ClusterOptions = {},
  registryOptions: Parameters<typeof startRegistry>[0] = {},
): Promise<Both> {
  const upstream = await startRegistry(registryOptions);
  const cluster = await startCluster({ upstreams: { "quay.io": upstream.url }, ...options });
  return {
    cluster,
    upstream,
    [Symbol.asyncDispose]: async () => {
      await cluster.close();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

type Policy = { importMode?: string; insecure?: boolean; scheduled?: boolean };
type Result = {
  status: { status: string; reason?: string; code?: number; message?: string };
  manifests?: unknown[];
};

/** Imports one reference into `mirror/app` and gives the status of that image. */
async function load(
  cluster: TestCluster,
  reference: string,
  { tag = "1", policy = {}, write = true }: { tag?: string; policy?: Policy; write?: boolean } = {},
): Promise<{ status: number; image: Result | undefined; message: string | undefined }> {
  const image = { from: { kind: "DockerImage", name: reference }, to: { name: tag }, importPolicy: policy };
  const body = { metadata: { name: "app" }, spec: { import: write, images: [image] } };
  const answer = await apiOf(cluster)("POST", "imagestreamimports", body);
  const { images } = (answer.body["status"] ?? {}) as { images?: Result[] };
  return { status: answer.status, image: images?.[0], message: answer.body.message };
}

const tagOf = (cluster: TestCluster, tag = "1") =>
  cluster.stream("mirror", "app")?.status.tags?.find((entry) => entry.tag === tag);

describe("ImageStreamImport", () => {
  test("takes one platform of an index by default, and the index with all its images when asked to preserve it", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    const index = buildIndex();
    await pushTo(upstream, "org/app", index, "1");
    await load(cluster, "quay.io/org/app:1", { tag: "legacy" });
    const whole = await load(cluster, "quay.io/org/app:1", { policy: { importMode: "PreserveOriginal" } });
    expect(tagOf(cluster, "legacy")?.items?.[0]?.image).toBe(index.children[0]?.manifest.digest);
    expect(tagOf(cluster)?.items?.[0]?.image).toBe(index.manifest.digest);
    expect(whole.image?.manifests).toHaveLength(index.children.length);
    for (const { manifest } of index.children) expect(cluster.image(manifest.digest)).toBeDefined();
  });

  test("writes nothing when only tried", async () => {
    await using both = await startBoth();
    await pushTo(both.upstream, "org/app", buildImage(), "1");
    const { image } = await load(both.cluster, "quay.io/org/app:1", { write: false });
    expect(image?.status.status).toBe("Success");
    expect(both.cluster.stream("mirror", "app")).toBeUndefined();
  });

  test("§11: fails for an index whose entries name no platform, with 422 for this image alone", async () => {
    await using both = await startBoth();
    await pushTo(both.upstream, "org/app", buildIndex({ withoutPlatforms: true }), "1");
    const policy = { importMode: "PreserveOriginal" };
    const answer = await load(both.cluster, "quay.io/org/app:1", { policy });
    expect(answer.status).toBe(201);
    expect(answer.image?.status).toMatchObject({
      code: 422,
      message: expect.stringContaining("dockerImageManifests[0].architecture: Required value"),
    });
  });

  test.for([
    [
      404,
      registryError(404, "NAME_UNKNOWN"),
      "NotFound",
      'dockerimage.image.openshift.io "quay.io/org/app:1" not found',
    ],
    [401, registryError(401, "UNAUTHORIZED"), "Unauthorized", "did not have credentials to the repository"],
    [403, registryError(403, "DENIED", { message: "no" }), "InternalError", "quay.io/org/app:1: denied: no"],
    [429, registryError(429, "TOOMANYREQUESTS"), "InternalError", "quay.io/org/app:1: toomanyrequests"],
    [502, status(502, { body: "<html>" }), "InternalError", "quay.io/org/app:1"],
  ] as const)("names an upstream's %i in reason and message", async ([, fault, reason, message]) => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    await pushTo(upstream, "org/app", buildImage(), "1");
    upstream.on({ kind: "manifest", always: true }, fault);
    const { status: code, image } = await load(cluster, "quay.io/org/app:1");
    expect(code).toBe(201);
    expect(image?.status).toMatchObject({ status: "Failure", reason });
    expect(image?.status.message).toContain(message);
    expect(tagOf(cluster)?.conditions?.[0]).toMatchObject({ reason, message: image?.status.message });
  });

  test("wants the insecure flag for a registry without TLS", async () => {
    await using upstream = await startRegistry();
    await using cluster = await startCluster();
    await pushTo(upstream, "org/app", buildImage(), "1");
    const reference = `${upstream.host}/org/app:1`;
    const refused = await load(cluster, reference);
    expect(refused.image?.status).toMatchObject({
      reason: "InternalError",
      code: 500,
      message: expect.stringContaining("http: server gave HTTP response to HTTPS client"), // §11
    });
    const taken = await load(cluster, reference, { policy: { insecure: true } });
    expect(taken.image?.status.status).toBe("Success");
  });

  test("knows no host beyond this machine", async () => {
    await using cluster = await startCluster();
    const { image } = await load(cluster, "ghcr.io/org/app:1");
    expect(image?.status.message).toContain("lookup ghcr.io: no such host");
  });

  test("names a registry nobody listens at", async () => {
    await using cluster = await startCluster();
    const { image } = await load(cluster, "127.0.0.1:1/org/app:1");
    expect(image?.status).toMatchObject({ reason: "InternalError", code: 500 });
    expect(image?.status.message).toContain("ECONNREFUSED");
  });

  test.for(["basic", "bearer"] as const)("logs in with the namespace's pull secret (%s)", async (kind) => {
    const auth = { kind, username: "robot", password: "secret" };
    await using both = await startBoth({}, { auth });
    const { cluster, upstream } = both;
    await pushTo(upstream, "org/app", buildImage(), "1");
    const nobody = await load(cluster, "quay.io/org/app:1");
    expect(nobody.image?.status).toMatchObject({ reason: "Unauthorized" });
    cluster.seedPullSecret("mirror", "quay.io", "robot", "wrong");
    const wrong = await load(cluster, "quay.io/org/app:1");
    expect(wrong.image?.status.message).toBe('incorrect username or password for image "quay.io/org/app:1"');
    cluster.seedPullSecret("mirror", "quay.io", "robot", "secret");
    const right = await load(cluster, "quay.io/org/app:1");
    expect(right.image?.status.status).toBe("Success");
  });

  test("refuses what is no import with 422", async () => {
    await using cluster = await startCluster();
    const api = apiOf(cluster);
    const send = (spec: unknown) => api("POST", "imagestreamimports", { metadata: { name: "app" }, spec });
    const from = { kind: "ImageStreamTag", name: "a:1" };
    expect(await send({ import: true })).toMatchObject({ status: 422 });
    expect(await send({ import: true, images: [{ from }] })).toMatchObject({ status: 422 });
    const odd = { from: { kind: "DockerImage", name: "a/b:1" }, importPolicy: { importMode: "Odd" } };
    expect(await send({ import: true, images: [odd] })).toMatchObject({ status: 422 });
  });

  test("keeps the reference policy a tag has, and overwrites its import policy", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    await pushTo(upstream, "org/app", buildImage(), "1");
    const seed = {
      from: "quay.io/org/app:1",
      referencePolicy: "Local",
      importMode: "PreserveOriginal",
    } as const;
    cluster.seedStream("mirror", "app", { tags: { "1": seed } });
    await load(cluster, "quay.io/org/app:1");
    expect(cluster.stream("mirror", "app")?.spec.tags?.[0]).toMatchObject({
      referencePolicy: { type: "Local" },
      importPolicy: { importMode: "Legacy" },
    });
  });

  test("imports every tag of a repository, newest names first", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    for (const tag of ["1", "2", "latest"]) await pushTo(upstream, "org/app", buildImage({ seed: tag }), tag);
    const repository = { from: { kind: "DockerImage", name: "quay.io/org/app" } };
    const body = { metadata: { name: "app" }, spec: { import: true, repository } };
    const answer = await apiOf(cluster)("POST", "imagestreamimports", body);
    expect(answer.body["status"]).toMatchObject({ repository: { status: { status: "Success" } } });
    expect(cluster.stream("mirror", "app")?.spec.tags?.map(({ name }) => name)).toEqual(["1", "2", "latest"]);
  });
});

const streamFrom = (name: string, from: string): unknown => ({
  metadata: { name },
  spec: { tags: [{ name: "1", from: { kind: "DockerImage", name: from } }] },
});

describe("the import controller", () => {
  test("imports the tags of a new stream by itself, and does not try a failure again", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    await pushTo(upstream, "org/app", buildImage(), "1");
    const api = apiOf(cluster);
    await api("POST", "imagestreams", streamFrom("app", "quay.io/org/app:1"));
    await api("POST", "imagestreams", streamFrom("bad", "quay.io/org/none:1"));
    await cluster.idle();
    expect(tagOf(cluster)?.items).toHaveLength(1);
    expect(cluster.stream("mirror", "bad")?.status.tags?.[0]?.conditions?.[0]?.reason).toBe("NotFound");
    expect(upstream.ledger.count({ repository: "org/none" })).toBe(1);
  });

  test("imports again when generation 0 asks for it", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    await pushTo(upstream, "org/app", buildImage(), "1");
    const api = apiOf(cluster);
    await api("POST", "imagestreams", streamFrom("app", "quay.io/org/app:1"));
    await cluster.idle();
    const next = buildImage({ seed: "next" });
    await pushTo(upstream, "org/app", next, "1");
    const tag = { from: { kind: "DockerImage", name: "quay.io/org/app:1" }, generation: 0 };
    await api("PUT", "imagestreamtags/app:1", { metadata: { name: "app:1" }, tag });
    await cluster.idle();
    expect(tagOf(cluster)?.items?.map(({ image }) => image)[0]).toBe(next.manifest.digest);
    expect(tagOf(cluster)?.items).toHaveLength(2);
  });

  test("looks at scheduled tags once per period, and at digests no more once they came", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    const image = buildImage();
    await pushTo(upstream, "org/app", image, "1");
    cluster.seedStream("mirror", "app", {
      tags: {
        "1": { from: "quay.io/org/app:1", scheduled: true },
        pinned: { from: `quay.io/org/app@${image.manifest.digest}`, scheduled: true },
        manual: { from: "quay.io/org/app:1" },
      },
    });
    cluster.subscribe("mirror", "app", "1");
    await cluster.runScheduledImports();
    await cluster.runScheduledImports();
    expect(upstream.ledger.count({ kind: "manifest", reference: "1" })).toBe(2);
    expect(upstream.ledger.count({ kind: "manifest", reference: image.manifest.digest })).toBe(1);
    expect(tagOf(cluster, "manual")).toBeUndefined();
    expect(cluster.fires).toHaveLength(1);
  });

  test("flips a pushed tag back to its source, with the same digest too", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    const image = buildImage();
    await pushTo(upstream, "org/app", image, "1");
    cluster.seedStream("mirror", "app", { tags: { "1": { from: "quay.io/org/app:1", scheduled: true } } });
    const target = { url: cluster.registryUrl, authorization: `Bearer ${cluster.token}` };
    await pushTo(target, "mirror/app", image, "1");
    expect(tagOf(cluster)?.items?.[0]?.dockerImageReference).toContain(cluster.registryHost);
    await cluster.runScheduledImports();
    expect(tagOf(cluster)?.items?.map((item) => item.dockerImageReference)).toEqual([
      `quay.io/org/app@${image.manifest.digest}`,
    ]);
  });
});
