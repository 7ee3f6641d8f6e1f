import { describe, expect, test } from "vitest";

import { DOCKER_LIST, MANIFEST_ACCEPT, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-type.ts";
import { errorCode } from "../support/ask.ts";
import { leastPrivilege } from "../support/cluster/access.ts";
import { apiOf, registryOf } from "../support/cluster/ask.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { buildImage, buildIndex, pushTo } from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";

const STRATEGIC = "application/strategic-merge-patch+json";
const MERGE = "application/merge-patch+json";

type Both = { cluster: TestCluster; upstream: TestRegistry } & AsyncDisposable;

/** A cluster whose `quay.io` is a registry of ours. */
async function startBoth(options: ClusterOptions = {}): Promise<Both> {
  const upstream = await startRegistry();
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

function pushed(cluster: TestCluster, token = cluster.token): { url: string; authorization: string } {
  return { url: cluster.registryUrl, authorization: `Bearer ${token}` };
}

const tagFrom = (name: string, from: string): unknown => ({
  name,
  from: { kind: "DockerImage", name: from },
});

const streamOf = (name: string, tags: unknown[] = []): unknown => ({
  apiVersion: "image.openshift.io/v1",
  kind: "ImageStream",
  metadata: { name },
  spec: { tags },
});

function importOf(
  name: string,
  images: Readonly<Record<string, string>>,
  more: { resourceVersion?: string; importMode?: string } = {},
): unknown {
  return {
    apiVersion: "image.openshift.io/v1",
    kind: "ImageStreamImport",
    metadata: { name, ...(more.resourceVersion ? { resourceVersion: more.resourceVersion } : {}) },
    spec: {
      import: true,
      images: Object.entries(images).map(([tag, from]) => ({
        from: { kind: "DockerImage", name: from },
        to: { name: tag },
        ...(more.importMode ? { importPolicy: { importMode: more.importMode } } : {}),
      })),
    },
  };
}

type ImportAnswer = {
  status: {
    images: { status: { status: string; reason?: string; message?: string; code?: number }; tag?: string }[];
  };
};

const outcomes = (body: unknown): unknown[] =>
  (body as ImportAnswer).status.images.map(({ status }) => status.reason ?? status.status);

const latest = (cluster: TestCluster, name: string, tag: string) =>
  cluster.stream("mirror", name)?.status.tags?.find((entry) => entry.tag === tag)?.items?.[0];

describe("the image API", () => {
  test("1: tells a missing stream from a missing tag by the name in the details", async () => {
    await using cluster = await startCluster();
    const api = apiOf(cluster);
    const noStream = await api("GET", "imagestreamtags/foo:1");
    cluster.seedStream("mirror", "foo");
    const noTag = await api("GET", "imagestreamtags/foo:1");
    expect(noStream).toMatchObject({
      status: 404,
      body: { details: { kind: "imagestreamtags", name: "foo" } },
    });
    expect(noTag).toMatchObject({
      status: 404,
      body: { details: { kind: "imagestreamtags", name: "foo:1" } },
    });
    expect(noTag.body.message).toBe('imagestreamtags.image.openshift.io "foo:1" not found');
    expect(await api("GET", "imagestreamtags/foo")).toMatchObject({ status: 400 });
  });

  test("2: refuses PUT of a stream without resourceVersion, and takes it of a tag", async () => {
    await using cluster = await startCluster();
    const api = apiOf(cluster);
    cluster.seedStream("mirror", "app");
    const blind = await api("PUT", "imagestreams/app", streamOf("app"));
    expect(blind).toMatchObject({ status: 422, body: { reason: "Invalid" } });
    expect(blind.body.message).toContain("must be specified for an update");
    const stale = {
      ...cluster.stream("mirror", "app"),
      metadata: { name: "app", resourceVersion: "1" },
    };
    expect(await api("PUT", "imagestreams/app", stale)).toMatchObject({
      status: 409,
      body: { reason: "Conflict" },
    });
    const tag = { from: { kind: "DockerImage", name: "quay.io/a/b:1" }, reference: true };
    const put = await api("PUT", "imagestreamtags/app:1", { metadata: { name: "app:1" }, tag });
    expect(put.status).toBe(201);
    expect(cluster.stream("mirror", "app")?.spec.tags?.map(({ name }) => name)).toEqual(["1"]);
  });

  test("3: merge patch replaces the list of tags, strategic merge patch goes by name", async () => {
    await using cluster = await startCluster();
    const api = apiOf(cluster);
    const seed = { tags: { "1": { from: "quay.io/a/b:1" }, "2": { from: "quay.io/a/b:2" } } };
    const names = (): unknown => cluster.stream("mirror", "app")?.spec.tags?.map(({ name }) => name);
    cluster.seedStream("mirror", "app", seed);
    const patch = (tags: unknown[], type: string) =>
      api("PATCH", "imagestreams/app", { spec: { tags } }, type);
    await patch(
      [{ name: "3", from: { kind: "DockerImage", name: "quay.io/a/b:3" }, reference: true }],
      STRATEGIC,
    );
    expect(names()).toEqual(["1", "2", "3"]);
    await patch([{ name: "1", $patch: "delete" }], STRATEGIC);
    expect(names()).toEqual(["2", "3"]);
    await patch(
      [{ name: "4", from: { kind: "DockerImage", name: "quay.io/a/b:4" }, reference: true }],
      MERGE,
    );
    expect(names()).toEqual(["4"]);
    await api(
      "PATCH",
      "imagestreams/app",
      [{ op: "remove", path: "/spec/tags/0" }],
      "application/json-patch+json",
    );
    expect(names()).toEqual([]);
    const ssa = await patch([], "application/apply-patch+yaml");
    expect(ssa.status).toBe(415);
  });

  test("4: has no watch on tags", async () => {
    await using cluster = await startCluster();
    const answer = await apiOf(cluster)("GET", "imagestreamtags?watch=1");
    expect(answer).toMatchObject({ status: 405, body: { reason: "MethodNotAllowed" } });
  });

  test("5: answers 201 to an import that failed, makes the spec tag, and writes the same failure once", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    const api = apiOf(cluster);
    await pushTo(upstream, "org/app", buildImage(), "1");
    const body = importOf("app", { good: "quay.io/org/app:1", bad: "quay.io/org/app:none" });
    const first = await api("POST", "imagestreamimports", body);
    expect(first.status).toBe(201);
    expect(outcomes(first.body)).toEqual(["Success", "NotFound"]);
    const stream = cluster.stream("mirror", "app");
    expect(stream?.spec.tags?.map(({ name }) => name)).toEqual(["bad", "good"]);
    const condition = stream?.status.tags?.find(({ tag }) => tag === "bad")?.conditions?.[0];
    expect(condition).toMatchObject({
      type: "ImportSuccess",
      status: "False",
      reason: "NotFound",
      message: 'dockerimage.image.openshift.io "quay.io/org/app:none" not found',
    });
    const tag = await api("GET", "imagestreamtags/app:bad");
    expect(tag).toMatchObject({ status: 404, body: { details: { name: "app:bad" } } });
    const spare = await api("GET", "imagetags/app:bad");
    expect(spare.body).toMatchObject({
      spec: { name: "bad" },
      status: { conditions: [condition] },
      image: null,
    });
    await api("POST", "imagestreamimports", body);
    expect(cluster.stream("mirror", "app")).toEqual(stream);
  });

  test("6: refuses an import made for an older stream, before or after the download", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    const api = apiOf(cluster);
    await pushTo(upstream, "org/app", buildImage(), "1");
    cluster.seedStream("mirror", "app");
    const stale = importOf("app", { "1": "quay.io/org/app:1" }, { resourceVersion: "7" });
    const refused = await api("POST", "imagestreamimports", stale);
    expect(refused).toMatchObject({ status: 409, body: { reason: "Conflict" } });
    expect(refused.body.message).toMatch(/the image stream was updated from "7" to "\d+"/);
    expect(upstream.ledger.entries).toEqual([]);
    const held = upstream.gate({ kind: "manifest" });
    const late = api("POST", "imagestreamimports", importOf("app", { "1": "quay.io/org/app:1" }));
    const download = await held;
    cluster.editStream("mirror", "app", "kubectl-edit", ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, touched: "yes" };
    });
    download.release();
    expect(await late).toMatchObject({ status: 409, body: { reason: "Conflict" } });
    expect(cluster.stream("mirror", "app")?.spec.tags).toEqual([]);
  });

  test("7: tags nothing when neither `to` nor the reference names a tag", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    const image = buildImage();
    await pushTo(upstream, "org/app", image, "1");
    const from = { kind: "DockerImage", name: `quay.io/org/app@${image.manifest.digest}` };
    const body = { metadata: { name: "app" }, spec: { import: true, images: [{ from }] } };
    const answer = await apiOf(cluster)("POST", "imagestreamimports", body);
    expect(outcomes(answer.body)).toEqual(["Success"]);
    expect(cluster.stream("mirror", "app")?.status.tags ?? []).toEqual([]);
    expect(cluster.stream("mirror", "app")?.spec.tags ?? []).toEqual([]);
  });

  test("8: writes nothing when an import brings what is there", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    const api = apiOf(cluster);
    await pushTo(upstream, "org/app", buildImage(), "1");
    const body = importOf("app", { "1": "quay.io/org/app:1" });
    await api("POST", "imagestreamimports", body);
    const before = cluster.stream("mirror", "app");
    const again = await api("POST", "imagestreamimports", body);
    expect(again.status).toBe(201);
    expect(cluster.stream("mirror", "app")).toEqual(before);
    expect(upstream.ledger.count({ kind: "manifest", method: "GET" })).toBe(2);
  });

  test("18: erases the history of a tag that is deleted, and keeps its image", async () => {
    await using cluster = await startCluster();
    const image = buildImage();
    await pushTo(pushed(cluster), "mirror/app", image, "1");
    const api = apiOf(cluster);
    const { digest } = image.manifest;
    expect(await api("GET", "imagestreamtags/app:1")).toMatchObject({
      status: 200,
      body: { tag: null, image: { metadata: { name: digest } } },
    });
    const answer = await api("DELETE", "imagestreamtags/app:1");
    expect(answer).toMatchObject({ status: 200, body: { status: "Success" } });
    expect(cluster.stream("mirror", "app")?.status.tags).toEqual([]);
    expect(cluster.image(digest)?.metadata.name).toBe(digest);
    expect(await api("DELETE", "imagestreamtags/app:1")).toMatchObject({ status: 404 });
  });

  test("19: refuses imports from registries that are not allowed, and lets pushes through", async () => {
    const users = [{ name: "mirror", rules: leastPrivilege(["mirror"]) }];
    await using both = await startBoth({ allowedRegistries: ["docker.io", "*.corp.example"], users });
    const { cluster, upstream } = both;
    const api = apiOf(cluster);
    const refused = await api("POST", "imagestreamimports", importOf("app", { "1": "quay.io/org/app:1" }));
    expect(refused).toMatchObject({ status: 422, body: { reason: "Invalid" } });
    expect(refused.body.message).toContain('Forbidden: registry "quay.io" not allowed by whitelist');
    expect(upstream.ledger.entries).toEqual([]);
    expect(
      await api("POST", "imagestreams", streamOf("app", [tagFrom("1", "quay.io/org/app:1")])),
    ).toMatchObject({
      status: 422,
    });
    await pushTo(pushed(cluster), "mirror/app", buildImage(), "1");
    expect(latest(cluster, "app", "1")).toBeDefined();
  });
});

describe("the integrated registry", () => {
  test("9: makes the stream of a new tag with the rights of who pushes", async () => {
    const pusher = leastPrivilege().filter(({ resources }) => resources.includes("imagestreams/layers"));
    const users = [
      { name: "builder", rules: leastPrivilege() },
      { name: "pusher", token: "pusher", rules: pusher },
    ];
    await using cluster = await startCluster({ users });
    const image = buildImage();
    await pushTo(pushed(cluster), "mirror/app", image, "1");
    expect(latest(cluster, "app", "1")).toMatchObject({
      image: image.manifest.digest,
      dockerImageReference: `${cluster.registryHost}/mirror/app@${image.manifest.digest}`,
    });
    expect(cluster.stream("mirror", "app")?.spec.tags ?? []).toEqual([]);
    await expect(pushTo(pushed(cluster, "pusher"), "mirror/other", image, "1")).rejects.toThrow(
      /403.*DENIED/,
    );
    await expect(pushTo(pushed(cluster), "nowhere/app", image, "1")).rejects.toThrow(/403.*DENIED/);
    await pushTo(pushed(cluster, "pusher"), "mirror/app", image, "2");
    expect(latest(cluster, "app", "2")?.image).toBe(image.manifest.digest);
  });

  test("10: shows a manifest pushed by digest only when an index that names it is tagged", async () => {
    await using cluster = await startCluster();
    const index = buildIndex({ platforms: [{ os: "linux", architecture: "amd64" }] });
    const [child] = index.children as [BuiltImage];
    const registry = registryOf(cluster);
    const headers = { accept: MANIFEST_ACCEPT };
    const path = `mirror/app/manifests/${child.manifest.digest}`;
    await pushTo(pushed(cluster), "mirror/app", child);
    expect(cluster.stream("mirror", "app")).toBeUndefined();
    expect(cluster.image(child.manifest.digest)).toBeDefined();
    expect(await registry("HEAD", path, { headers }), "§11: no stream yet").toMatchObject({ status: 500 });
    cluster.seedStream("mirror", "app");
    expect(await registry("HEAD", path, { headers })).toMatchObject({ status: 404 });
    await pushTo(pushed(cluster), "mirror/app", index, "1");
    expect(await registry("HEAD", path, { headers })).toMatchObject({ status: 200 });
    const isImage = await apiOf(cluster)("GET", `imagestreamimages/app@${child.manifest.digest}`);
    expect(isImage.status).toBe(200);
  });

  test("11: refuses an index whose entries name no platform, and takes a sparse one", async () => {
    await using cluster = await startCluster();
    const bad = buildIndex({ seed: "bad", withoutPlatforms: true });
    await expect(pushTo(pushed(cluster), "mirror/app", bad, "1")).rejects.toThrow(/: 500 .*UNKNOWN/);
    expect(cluster.stream("mirror", "app")?.status.tags ?? []).toEqual([]);
    const { manifest } = buildIndex({ seed: "sparse" });
    const answer = await registryOf(cluster)("PUT", "mirror/app/manifests/2", {
      headers: { "content-type": manifest.mediaType },
      body: manifest.bytes,
    });
    expect(answer.status).toBe(201);
    expect(latest(cluster, "app", "2")?.image).toBe(manifest.digest);
  });

  test("12: an import after a push of the same digest flips the reference, and a push flips it back", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    const image = buildImage();
    const { digest } = image.manifest;
    await pushTo(upstream, "org/app", image, "1");
    cluster.subscribe("mirror", "app", "1");
    const references = (): unknown =>
      cluster.stream("mirror", "app")?.status.tags?.[0]?.items?.map((item) => item.dockerImageReference);
    const load = () =>
      apiOf(cluster)("POST", "imagestreamimports", importOf("app", { "1": "quay.io/org/app:1" }));
    const push = () => pushTo(pushed(cluster), "mirror/app", image, "1");
    const local = `${cluster.registryHost}/mirror/app@${digest}`;
    await load();
    expect(references()).toEqual([`quay.io/org/app@${digest}`]);
    await push();
    expect(references()).toEqual([local]);
    await load();
    expect(references()).toEqual([`quay.io/org/app@${digest}`]);
    await push();
    expect(references()).toEqual([local]);
    expect(cluster.fires.map(({ to }) => to.split("/")[0])).toEqual([
      "quay.io",
      cluster.registryHost,
      "quay.io",
      cluster.registryHost,
    ]);
    expect(cluster.image(digest)?.metadata.annotations?.["openshift.io/image.managed"]).toBeUndefined();
  });

  test("13: a tag that follows another one follows a push", async () => {
    await using cluster = await startCluster();
    const follower = { from: { kind: "ImageStreamTag", name: "1" } };
    cluster.seedStream("mirror", "app", { tags: { stable: follower } });
    const image = buildImage();
    await pushTo(pushed(cluster), "mirror/app", image, "1");
    expect(latest(cluster, "app", "stable")).toEqual(latest(cluster, "app", "1"));
    await pushTo(pushed(cluster), "mirror/app", buildImage({ seed: "next" }), "1");
    const history = cluster.stream("mirror", "app")?.status.tags?.find(({ tag }) => tag === "stable")?.items;
    expect(history).toHaveLength(2);
  });

  test("14: says 200 to HEAD of a blob that only an upstream has, and 202 to the mount that asks for it", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    const image = buildImage();
    const [blob = "", bytes] = [...image.blobs][0] ?? [];
    await pushTo(upstream, "org/app", image, "1");
    await apiOf(cluster)("POST", "imagestreamimports", importOf("app", { "1": "quay.io/org/app:1" }));
    const registry = registryOf(cluster);
    const far = await registry("HEAD", `mirror/app/blobs/${blob}`);
    expect(far.status).toBe(200);
    expect(far.headers).toMatchObject({ etag: blob, "content-length": String(bytes?.length) });
    expect(far.headers["cache-control"]).toBeUndefined();
    const mount = `mirror/app/blobs/uploads/?mount=${blob}&from=mirror/app`;
    expect((await registry("POST", mount)).status).toBe(202);
    await pushTo(pushed(cluster), "mirror/app", image, "1");
    expect((await registry("POST", mount)).status).toBe(201);
    const near = await registry("HEAD", `mirror/app/blobs/${blob}`);
    expect(near.headers.etag).toBe(`"${blob}"`);
    expect(near.headers["cache-control"]).toContain("max-age");
  });

  test("15: knows names of two segments only, and answers others 400 with an empty body", async () => {
    await using cluster = await startCluster();
    const registry = registryOf(cluster);
    for (const name of ["mirror/team/app", "app"]) {
      const answer = await registry("GET", `${name}/tags/list`);
      expect(answer.status).toBe(400);
      expect(answer.body).toHaveLength(0);
    }
  });

  test("16: without the right Accept gives the amd64 child of a list, and nothing of an OCI index", async () => {
    await using cluster = await startCluster();
    const list = buildIndex({ seed: "list", docker: true });
    const index = buildIndex({ seed: "index" });
    await pushTo(pushed(cluster), "mirror/app", list, "list");
    await pushTo(pushed(cluster), "mirror/app", index, "index");
    const head = (tag: string, accept: string) =>
      registryOf(cluster)("HEAD", `mirror/app/manifests/${tag}`, { headers: { accept } });
    const whole = await head("list", MANIFEST_ACCEPT);
    expect(whole.headers["docker-content-digest"]).toBe(list.manifest.digest);
    const { mediaType } = list.children[0]?.manifest ?? { mediaType: "" };
    const child = await head("list", mediaType);
    expect(child.headers["docker-content-digest"]).toBe(list.children[0]?.manifest.digest);
    expect((await head("index", `${DOCKER_LIST}, ${OCI_MANIFEST}`)).status).toBe(404);
    expect((await head("index", OCI_INDEX)).status).toBe(200);
  });

  test("17: answers denied access with 401 and Basic, whoever asks, and nobody with Bearer", async () => {
    const reader = {
      name: "reader",
      token: "reader",
      rules: [{ verbs: ["get"], resources: ["imagestreams/layers"] }],
    };
    await using cluster = await startCluster({ users: [{ name: "all" }, reader] });
    const denied = 'Basic realm=openshift,error="access denied"';
    const write = await registryOf(cluster, "reader")("POST", "mirror/app/blobs/uploads/");
    expect(write.status).toBe(401);
    expect(write.headers["www-authenticate"]).toBe(denied);
    expect(errorCode(write)).toBe("UNAUTHORIZED");
    const stranger = await registryOf(cluster, "nobody")("GET", "mirror/app/tags/list");
    expect(stranger.headers["www-authenticate"]).toBe(denied);
    const response = await fetch(`${cluster.registryUrl}/v2/`);
    const realm = `${cluster.registryUrl}/openshift/token`;
    expect(response.headers.get("www-authenticate")).toBe(`Bearer realm="${realm}"`);
    const authorization = `Basic ${Buffer.from(`x:${cluster.token}`).toString("base64")}`;
    const token = await fetch(`${realm}?scope=repository:mirror/app:pull,push`, {
      headers: { authorization },
    });
    expect(await token.json()).toMatchObject({ token: cluster.token });
    const wrong = await fetch(`${realm}?scope=repository:app:pull`, { headers: { authorization } });
    expect(wrong.status).toBe(401);
  });

  test("20: refuses what a LimitRange forbids: 403 in the API, 403 DENIED in the registry", async () => {
    await using both = await startBoth();
    const { cluster, upstream } = both;
    await pushTo(upstream, "org/app", buildImage({ seed: "far" }), "1");
    cluster.setLimits("mirror", { images: 1 });
    await pushTo(pushed(cluster), "mirror/app", buildImage({ seed: "one" }), "1");
    const second = pushTo(pushed(cluster), "mirror/app", buildImage({ seed: "two" }), "2");
    await expect(second).rejects.toThrow(/403.*DENIED/);
    const imported = await apiOf(cluster)(
      "POST",
      "imagestreamimports",
      importOf("app", { "3": "quay.io/org/app:1" }),
    );
    expect(imported).toMatchObject({ status: 403, body: { reason: "Forbidden" } });
    expect(latest(cluster, "app", "2")).toBeUndefined();
    const refused = cluster.stream("mirror", "app")?.status.tags?.find(({ tag }) => tag === "3");
    expect(refused).toMatchObject({ items: null, conditions: [{ reason: "Forbidden" }] });
  });
});
