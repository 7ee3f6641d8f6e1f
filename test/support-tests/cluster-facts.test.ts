import { describe, expect, test } from "vitest";

import { digestOf } from "../../src/oci/digest.ts";
import { OCI_MANIFEST } from "../../src/oci/media-type.ts";
import { ask } from "../support/ask.ts";
import { apiOf, registryOf } from "../support/cluster/ask.ts";
import { startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { buildImage, buildIndex, pushTo } from "../support/images/images.ts";
import { startRegistry } from "../support/registry/registry.ts";

/** What the real API server (56aa2d96) and image registry (d4cce000) answered; one test for each fact. */

const STRATEGIC = "application/strategic-merge-patch+json";
const STREAM_TAG = { name: "18", from: { kind: "DockerImage", name: "127.0.0.1:1/a:18" } };

const streamBody = (name: string, tags: readonly object[] = []): object => ({
  metadata: { name, annotations: { "example.com/made": "here" } },
  spec: { tags },
});

function target(cluster: TestCluster): { url: string; authorization: string } {
  return { url: cluster.registryUrl, authorization: `Bearer ${cluster.token}` };
}

function codeIn(body: Uint8Array): unknown {
  const { errors } = JSON.parse(Buffer.from(body).toString()) as {
    errors: readonly { code: string; message: string; detail?: unknown }[];
  };
  return errors[0];
}

describe("streams", () => {
  test("a patch can stop the import of a spec tag and keep the rest of it; a push is then its only event", async () => {
    await using cluster = await startCluster();
    const call = apiOf(cluster);
    const tag = {
      ...STREAM_TAG,
      annotations: { tags: "builder", description: "Node" },
      importPolicy: { scheduled: true, importMode: "PreserveOriginal" },
      referencePolicy: { type: "Local" },
    };
    const latest = { name: "latest", from: { kind: "ImageStreamTag", name: "18" } };
    await call("POST", "imagestreams", streamBody("app", [tag]));
    await cluster.idle();
    const before = cluster.stream("mirror", "app")?.metadata.generation ?? 0;
    const patch = { spec: { tags: [{ name: "18", from: null, importPolicy: { scheduled: null } }] } };
    expect((await call("PATCH", "imagestreams/app", patch, STRATEGIC)).status).toBe(200);
    const { metadata, spec } = cluster.stream("mirror", "app") ?? {};
    expect(metadata?.generation).toBe(before + 1);
    const [kept] = spec?.tags ?? [];
    expect(kept).toMatchObject({
      annotations: tag.annotations,
      importPolicy: { importMode: "PreserveOriginal" },
      referencePolicy: { type: "Local" },
    });
    expect(kept?.from ?? undefined).toBeUndefined();
    expect(kept?.importPolicy.scheduled).toBeUndefined();
    const image = buildImage({ seed: "builder" });
    await pushTo(target(cluster), "mirror/app", image, "18");
    const events = cluster.stream("mirror", "app")?.status.tags?.find((one) => one.tag === "18")?.items;
    expect(events).toMatchObject([
      {
        image: image.manifest.digest,
        dockerImageReference: `${cluster.registryHost}/mirror/app@${image.manifest.digest}`,
      },
    ]);
    await call("PATCH", "imagestreams/app", { spec: { tags: [latest] } }, STRATEGIC);
    await pushTo(target(cluster), "mirror/app", buildImage({ seed: "next" }), "18");
    const tags = cluster.stream("mirror", "app")?.status.tags ?? [];
    const newest = (name: string): string | undefined =>
      tags.find((one) => one.tag === name)?.items?.[0]?.image;
    expect(newest("latest")).toBe(newest("18"));
  });

  test("a new imagestreamtag that is PUT is answered 201", async () => {
    await using cluster = await startCluster();
    await apiOf(cluster)("POST", "imagestreams", streamBody("app"));
    const tag = { metadata: { name: "app:18", namespace: "mirror" }, tag: STREAM_TAG };
    expect((await apiOf(cluster)("PUT", "imagestreamtags/app:18", tag)).status).toBe(201);
  });

  test("scheduled: false is not stored", async () => {
    await using cluster = await startCluster();
    await apiOf(cluster)(
      "POST",
      "imagestreams",
      streamBody("app", [{ ...STREAM_TAG, importPolicy: { scheduled: false } }]),
    );
    const [tag] = cluster.stream("mirror", "app")?.spec.tags ?? [];
    expect(Object.keys(tag?.importPolicy ?? {})).not.toContain("scheduled");
  });

  test("a list answers 400 to a continue token that is none", async () => {
    await using cluster = await startCluster();
    cluster.seedStream("mirror", "app");
    expect((await apiOf(cluster)("GET", "imagestreams?limit=1&continue=nonsense")).status).toBe(400);
  });

  test("an import into a stream that is missing names the kind imagestreamimports", async () => {
    await using cluster = await startCluster();
    const images = [{ from: STREAM_TAG.from, to: { name: "1" } }];
    const body = { metadata: { name: "none", resourceVersion: "7" }, spec: { import: true, images } };
    expect(await apiOf(cluster)("POST", "imagestreamimports", body)).toMatchObject({
      status: 404,
      body: { details: { kind: "imagestreamimports" } },
    });
  });

  test("an unknown token is answered 401 with an empty body and no challenge", async () => {
    await using cluster = await startCluster();
    const url = `${cluster.apiUrl}/apis/image.openshift.io/v1/namespaces/mirror/imagestreams`;
    const { status, headers, body } = await ask("GET", url, { headers: { authorization: "Bearer none" } });
    expect([status, body.length, headers["www-authenticate"]]).toEqual([401, 0, undefined]);
  });
});

test("an imported image has the tag of `from`, and none for a digest", async () => {
  await using upstream = await startRegistry();
  await using cluster = await startCluster({ upstreams: { "quay.io": upstream.url } });
  const image = buildImage({ seed: "tagged" });
  await pushTo(upstream, "o/app", image, "1.2");
  const images = [`quay.io/o/app:1.2`, `quay.io/o/app@${image.manifest.digest}`].map((name, at) => ({
    from: { kind: "DockerImage", name },
    to: { name: `to-${at}` },
  }));
  const { body } = await apiOf(cluster)("POST", "imagestreamimports", {
    metadata: { name: "app" },
    spec: { import: true, images },
  });
  const { images: results } = body["status"] as { images: readonly { tag?: string }[] };
  expect(results.map(({ tag }) => tag)).toEqual(["1.2", undefined]);
});

test("an image whose config is not JSON fails with the words of Go's decoder", async () => {
  await using upstream = await startRegistry();
  await using cluster = await startCluster({ upstreams: { "quay.io": upstream.url } });
  const config = Buffer.from("x");
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: {
        mediaType: "application/vnd.oci.image.config.v1+json",
        digest: upstream.putBlob("o/app", config),
        size: config.length,
      },
      layers: [],
    }),
  );
  upstream.putManifest("o/app", manifest, OCI_MANIFEST, "1");
  const { body } = await apiOf(cluster)("POST", "imagestreamimports", {
    metadata: { name: "app" },
    spec: {
      import: true,
      images: [{ from: { kind: "DockerImage", name: "quay.io/o/app:1" }, to: { name: "1" } }],
    },
  });
  expect(body["status"]).toMatchObject({
    images: [
      { status: { reason: "InternalError", message: expect.stringContaining("invalid character 'x'") } },
    ],
  });
});

/** The path of a Location below /v2/. */
const at = (location: unknown): string => String(location).replace(/^.*\/v2\//, "");

describe("the integrated registry", () => {
  const absent = digestOf(Buffer.from("absent"));

  test("answers 500 by digest without the stream, and 404 with it", async () => {
    await using cluster = await startCluster();
    const read = async (): Promise<number> =>
      (await registryOf(cluster)("GET", `mirror/app/manifests/${absent}`)).status;
    expect(await read()).toBe(500);
    cluster.seedStream("mirror", "app");
    expect(await read()).toBe(404);
  });

  test("says the same words in every 403: a limit, a missing right, a missing namespace", async () => {
    await using cluster = await startCluster();
    const image = buildImage({ seed: "denied" });
    const pushed = await pushTo(target(cluster), "nowhere/app", image, "1").catch((error: unknown) => error);
    expect(String(pushed)).toContain("requested access to the resource is denied");
    expect(String(pushed)).not.toMatch(/quota|limit|exceed/i);
  });

  test("answers 500 with an empty detail to an index by tag whose entries name no platform", async () => {
    await using cluster = await startCluster();
    const index = buildIndex({ withoutPlatforms: true });
    const pushed = await pushTo(target(cluster), "mirror/app", index, "1").catch((error: unknown) => error);
    expect(String(pushed)).toMatch(/500/);
  });

  test("answers 416 to a PATCH that does not continue", async () => {
    await using cluster = await startCluster();
    cluster.seedStream("mirror", "app");
    const call = registryOf(cluster);
    const begun = await call("POST", "mirror/app/blobs/uploads/");
    const first = at(begun.headers.location);
    const skipping = await call("PATCH", first, {
      headers: { "content-range": "5-8", "content-type": "application/octet-stream" },
      body: Buffer.from("abcd"),
    });
    expect([skipping.status, codeIn(skipping.body)]).toEqual([
      416,
      expect.objectContaining({ code: "RANGE_INVALID" }),
    ]);
  });

  test("answers 416 to a PUT with the state of an earlier step", async () => {
    await using cluster = await startCluster();
    cluster.seedStream("mirror", "app");
    const call = registryOf(cluster);
    const begun = await call("POST", "mirror/app/blobs/uploads/");
    const location = at(begun.headers.location);
    const old = await call("PUT", `${location.replace(/_state=[^&]*/, "_state=old")}&digest=${absent}`);
    expect([old.status, codeIn(old.body)]).toEqual([416, expect.objectContaining({ code: "RANGE_INVALID" })]);
  });

  test("mounts a blob from its own stream: 201 when it is there, 202 when it is only in another", async () => {
    await using cluster = await startCluster();
    for (const name of ["app", "other"]) cluster.seedStream("mirror", name);
    const digest = cluster.registry.putBlob("mirror/other", Buffer.from("blob"));
    const mount = (from: string) =>
      registryOf(cluster)("POST", `mirror/${from}/blobs/uploads/?mount=${digest}&from=mirror/${from}`);
    expect((await mount("other")).status).toBe(201);
    const session = await mount("app");
    expect(session.status).toBe(202);
    const location = at(session.headers.location);
    expect((await registryOf(cluster)("DELETE", location)).status).toBe(204);
  });

  test("refuses a manifest of more than 4 MiB with 400 MANIFEST_INVALID", async () => {
    await using cluster = await startCluster();
    cluster.seedStream("mirror", "app");
    const body = Buffer.alloc(4 * 1024 * 1024 + 1, " ");
    const answer = await registryOf(cluster)("PUT", "mirror/app/manifests/1", {
      headers: { "content-type": OCI_MANIFEST },
      body,
    });
    expect([answer.status, codeIn(answer.body)]).toEqual([
      400,
      expect.objectContaining({ code: "MANIFEST_INVALID" }),
    ]);
  });
});
