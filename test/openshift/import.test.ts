import { describe, expect, test } from "vitest";

import type { Digest } from "../../src/oci/digest.ts";
import { importImages, type ImportTag } from "../../src/openshift/import.ts";
import { type ClusterClient, clusterClient } from "../support/cluster/client.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { buildImage, buildIndex, buildIndexOf, pushTo } from "../support/images/images.ts";
import { altered, rateLimited, status } from "../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import type { Fault } from "../support/registry/rules.ts";

const STREAM = { namespace: "mirror", name: "app" };
const ABSENT: Digest = `sha256:${"0429".repeat(16)}`;
const IMPORT = { method: "POST", path: /\/imagestreamimports$/ };

type Place = AsyncDisposable & {
  readonly upstream: TestRegistry;
  readonly cluster: TestCluster;
  readonly client: ClusterClient;
  /** An image of quay.io/o/app. `tag` is the tag of the stream. */
  push(tag: string): Promise<ImportTag>;
};

async function openPlace(options: ClusterOptions = {}): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await startRegistry());
  const cluster = stack.use(await startCluster({ upstreams: { "quay.io": upstream.url }, ...options }));
  const client = stack.use(await clusterClient(cluster));
  const owned = stack.move();
  return {
    upstream,
    cluster,
    client,
    push: async (tag) => {
      const image = buildImage({ seed: tag });
      await pushTo(upstream, "o/app", image, tag);
      return tagFor(tag, image.manifest.digest);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function tagFor(tag: string, digest: Digest): ImportTag {
  return { tag, from: `quay.io/o/app@${digest}`, digest, referencePolicy: "Source", insecure: false };
}

/** Changes answers of the API server before they are sent. */
function answering(change: (images: Record<string, unknown>[]) => unknown): Fault {
  return altered((answer) => {
    const body = JSON.parse(Buffer.from(answer.body ?? []).toString()) as {
      status: { images: Record<string, unknown>[] };
    };
    const changed = { ...body, status: { ...body.status, images: change(body.status.images) } };
    return { ...answer, body: Buffer.from(JSON.stringify(changed)) };
  });
}

describe("an import", () => {
  test("of 120 tags is one request, and every tag points at its digest", async () => {
    await using place = await openPlace();
    const tags: ImportTag[] = [];
    for (let at = 0; at < 120; at += 1) tags.push(await place.push(`1.${at}`));
    await expect(importImages(place.client.api, STREAM, tags, {})).resolves.toEqual(new Map());
    expect(place.cluster.ledger.count(IMPORT)).toBe(1);
    const found = place.cluster.stream("mirror", "app")?.status.tags ?? [];
    expect(Object.fromEntries(found.map(({ tag, items }) => [tag, items?.[0]?.image]))).toEqual(
      Object.fromEntries(tags.map(({ tag, digest }) => [tag, digest])),
    );
  });

  test("asks for the image as it is, by digest, with the policy of the mirror, never scheduled", async () => {
    await using place = await openPlace();
    const tag = { ...(await place.push("1.0")), referencePolicy: "Local" as const };
    await importImages(place.client.api, STREAM, [tag], {});
    expect(place.cluster.stream("mirror", "app")?.spec.tags).toEqual([
      expect.objectContaining({
        name: "1.0",
        from: { kind: "DockerImage", name: tag.from },
        importPolicy: { importMode: "PreserveOriginal" },
        referencePolicy: { type: "Local" },
      }),
    ]);
  });

  test("judges each tag by itself: those that came are there, the others say why", async () => {
    await using place = await openPlace();
    const [good, denied, limited] = [
      await place.push("good"),
      await place.push("denied"),
      await place.push("limited"),
    ];
    place.upstream.on({ path: new RegExp(denied.digest), always: true }, status(401));
    place.upstream.on({ path: new RegExp(limited.digest), always: true }, rateLimited());
    const absent = tagFor("absent", ABSENT);
    const failures = await importImages(place.client.api, STREAM, [absent, good, limited, denied], {});
    expect([...failures.keys()].toSorted()).toEqual(["absent", "denied", "limited"]);
    expect(failures.get("limited")).toMatchObject({
      code: "RATE_LIMITED",
      details: { where: "mirror/app:limited", found: expect.stringContaining("toomanyrequests") },
    });
    expect(failures.get("denied")).toMatchObject({
      code: "STREAM_IMPORT",
      details: { reason: "Unauthorized", found: expect.stringContaining("may not have access") },
      next: expect.stringMatching(
        /^Give .* pull secret: oc create secret docker-registry quay-io --docker-server=quay\.io .* -n mirror$/,
      ),
    });
    // the digits 429 stand in its digest
    expect(failures.get("absent")).toMatchObject({ code: "STREAM_IMPORT", details: { reason: "NotFound" } });
    const stream = place.cluster.stream("mirror", "app");
    const current = (tag: string) => stream?.status.tags?.find((one) => one.tag === tag);
    expect(current("good")?.items?.[0]?.image).toBe(good.digest);
    expect(current("denied")).toMatchObject({
      items: null,
      conditions: [{ type: "ImportSuccess", status: "False", reason: "Unauthorized" }],
    });
  });

  test.for<readonly [string, string, object]>([
    ["x509: certificate signed by unknown authority", "additionalTrustedCA", { reason: "InternalError" }],
    ["quay.io is blocked by the policy", "registrySources", { reason: "Forbidden" }],
  ])("that failed with “%s” is told with %s", async ([message, advice, facts]) => {
    await using place = await openPlace();
    const tag = await place.push("1.0");
    const failure = { status: "Failure", message, code: 500, ...facts };
    place.cluster.on(
      IMPORT,
      answering((images) => images.map(() => ({ tag: "1.0", status: failure }))),
    );
    const failures = await importImages(place.client.api, STREAM, [tag], {});
    expect(failures.get("1.0")).toMatchObject({
      code: "STREAM_IMPORT",
      next: expect.stringContaining(advice),
    });
  });

  test.for<readonly [string, string, string]>([
    ["TARGET_QUOTA", "Forbidden", "exceeds the maximum storage limit per openshift.io/Image"],
    ["STREAM_IMPORT", "InternalError", "the connection limit of the proxy"],
    ["RATE_LIMITED", "InternalError", "quay.io/o/app:1: unexpected status 429 Too Many Requests"],
  ])("is %s where the tag's reason is %s: %s", async ([code, reason, message]) => {
    await using place = await openPlace();
    const tag = await place.push("1.0");
    place.cluster.on(
      IMPORT,
      answering(() => [{ tag: "1.0", status: { status: "Failure", reason, message } }]),
    );
    const failures = await importImages(place.client.api, STREAM, [tag], {});
    expect(failures.get("1.0")?.code).toBe(code);
  });

  test.for<readonly [string, object, string]>([
    ["another digest", { image: { metadata: { name: ABSENT } } }, ABSENT],
    ["no image at all", { image: null }, "none"],
  ])("that brought %s did not bring ours", async ([, change, found]) => {
    await using place = await openPlace();
    const tag = await place.push("1.0");
    place.cluster.on(
      IMPORT,
      answering((images) => images.map((image) => ({ ...image, ...change }))),
    );
    const failures = await importImages(place.client.api, STREAM, [tag], {});
    expect(failures.get("1.0")).toMatchObject({
      code: "STREAM_IMPORT_MOVED",
      details: { found, allowed: tag.digest },
    });
  });

  test.for<readonly [string, (images: Record<string, unknown>[]) => unknown]>([
    ["for fewer tags than were asked", (images) => images.slice(1)],
    ["for more tags than were asked", (images) => [...images, ...images]],
    ["for no tags", () => undefined],
    ["with something else", () => "Success"],
  ])("that is answered %s is no success", async ([, change]) => {
    await using place = await openPlace();
    const tags = [await place.push("1.0"), await place.push("2.0")];
    place.cluster.on({ ...IMPORT, always: true }, answering(change));
    await expect(importImages(place.client.api, STREAM, tags, {})).rejects.toMatchObject({
      code: "CLUSTER_ANSWER",
      message: expect.stringMatching(/of 2 tags|an ImageStreamImport/),
    });
  });
});

describe("an import with one image that the API server cannot store", () => {
  test("fails for this image alone, in a few requests more", async () => {
    await using place = await openPlace();
    const good: ImportTag[] = [];
    for (let at = 0; at < 7; at += 1) good.push(await place.push(`1.${at}`));
    const platform = { os: "linux", architecture: "amd64" };
    const nested = buildIndexOf([{ image: buildIndex({ seed: "inner" }), platform }]);
    await pushTo(place.upstream, "o/app", nested, "nested");
    const bad = tagFor("nested", nested.manifest.digest);
    const tags = [...good.slice(0, 3), bad, ...good.slice(3)];
    const failures = await importImages(place.client.api, STREAM, tags, {});
    expect([...failures]).toMatchObject([["nested", { code: "STREAM_IMPORT" }]]);
    const found = place.cluster.stream("mirror", "app")?.status.tags ?? [];
    expect(found.flatMap(({ tag, items }) => (items ? [tag] : []))).toEqual(good.map(({ tag }) => tag));
    expect(place.cluster.ledger.count(IMPORT)).toBe(7);
  });

  test("is told for an index whose entries name no platform", async () => {
    await using place = await openPlace();
    const good = await place.push("1.0");
    const index = buildIndex({ withoutPlatforms: true });
    await pushTo(place.upstream, "o/app", index, "bare");
    const tags = [good, tagFor("bare", index.manifest.digest)];
    const failures = await importImages(place.client.api, STREAM, tags, {});
    expect([...failures]).toMatchObject([
      ["bare", { code: "STREAM_IMPORT", details: { found: expect.stringContaining("architecture") } }],
    ]);
  });
});

describe("an import as a whole", () => {
  const conflict = status(409, { body: JSON.stringify({ reason: "Conflict", message: "was updated" }) });

  test("is made again when the stream moved in between", async () => {
    await using place = await openPlace();
    const tag = await place.push("1.0");
    place.cluster.on(IMPORT, conflict, conflict);
    await expect(importImages(place.client.api, STREAM, [tag], {})).resolves.toEqual(new Map());
    expect(place.cluster.ledger.count(IMPORT)).toBe(3);
  });

  test("is given up when the stream does not come to rest", async () => {
    await using place = await openPlace();
    const tag = await place.push("1.0");
    place.cluster.on({ ...IMPORT, always: true }, conflict);
    await expect(importImages(place.client.api, STREAM, [tag], {})).rejects.toMatchObject({
      code: "STREAM_CONFLICT",
    });
    expect(place.cluster.ledger.count(IMPORT)).toBe(5);
  });

  test("is refused once and for good from a registry that the cluster's policy does not allow", async () => {
    await using place = await openPlace({
      allowedRegistries: ["docker.io"],
      users: [{ name: "robot", rules: [{ resources: ["imagestreamimports"], verbs: ["create"] }] }],
    });
    const tag = await place.push("1.0");
    const tags = [tag, await place.push("2.0")];
    const failures = await importImages(place.client.api, STREAM, tags, {});
    const failure = {
      code: "STREAM_IMPORT",
      details: { where: "mirror/app", found: expect.stringContaining("quay.io") },
    };
    expect([...failures.values()]).toMatchObject([failure, failure]);
    expect(place.cluster.ledger.count(IMPORT)).toBe(1);
  });

  test("is refused to those who may not import", async () => {
    await using place = await openPlace({ users: [{ name: "robot", rules: [] }] });
    const tag = await place.push("1.0");
    await expect(importImages(place.client.api, STREAM, [tag], {})).rejects.toMatchObject({
      code: "CLUSTER_DENIED",
      message: expect.stringContaining("create imagestreamimports"),
    });
  });
});
