import { describe, expect, test } from "vitest";

import { OWNERSHIP_ANNOTATION, type OwnedTag } from "../../src/openshift/ownership.ts";
import type { Claim, Published } from "../../src/openshift/stream-changes.ts";
import type { Streams } from "../../src/openshift/streams.ts";
import { clusterClient } from "../support/cluster/client.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { doing, status } from "../support/registry/faults.ts";

const STREAM = { namespace: "mirror", name: "app" };
const DIGEST = `sha256:${"a".repeat(64)}` as const;
const PATCH = { method: "PATCH", path: /\/imagestreams\/app\?/ };

type Place = AsyncDisposable & { readonly cluster: TestCluster; readonly streams: Streams };

async function openPlace(options?: ClusterOptions): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster(options));
  const client = stack.use(await clusterClient(cluster));
  const owned = stack.move();
  return { cluster, streams: client.streams(), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function claimOf(tag: string, claim: Partial<Claim> = {}): Claim {
  return { tag, mirror: "app", source: `quay.io/o/app:${tag}`, takeover: false, ...claim };
}

function publishedOf(tag: string, published: Partial<Published> = {}): Published {
  return { ...claimOf(tag), digest: DIGEST, finishTakeover: false, ...published };
}

function annotationOf(cluster: TestCluster): string | undefined {
  return cluster.stream("mirror", "app")?.metadata.annotations?.[OWNERSHIP_ANNOTATION];
}

function ownedIn(cluster: TestCluster): Record<string, OwnedTag> {
  const { tags } = JSON.parse(annotationOf(cluster) ?? '{"tags":{}}') as { tags: Record<string, OwnedTag> };
  return tags;
}

/** What another editor does to the stream. */
function edit(cluster: TestCluster, manager: string, from: string): void {
  cluster.editStream("mirror", "app", manager, (stream) => {
    stream.metadata.annotations = { ...stream.metadata.annotations, [`example.com/${manager}`]: from };
    stream.spec.tags = [
      ...(stream.spec.tags ?? []).filter(({ name }) => name !== "theirs"),
      {
        name: "theirs",
        annotations: null,
        from: { kind: "ImageStreamTag", name: from },
        generation: null,
        importPolicy: { importMode: "Legacy" },
        referencePolicy: { type: "Source" },
      },
    ];
  });
}

describe("two who write a stream at once", () => {
  test("both keep what they wrote: a conflict is read and decided again", async () => {
    await using place = await openPlace();
    place.cluster.seedStream("mirror", "app");
    place.cluster.on(
      PATCH,
      doing(() => edit(place.cluster, "argocd", "stable")),
    );
    await expect(place.streams.claim(STREAM, [claimOf("1.0")])).resolves.toEqual(new Map());
    expect(place.cluster.ledger.find(PATCH).map((entry) => entry.status)).toEqual([409, 200]);
    const stream = place.cluster.stream("mirror", "app");
    expect(stream?.metadata.annotations).toMatchObject({ "example.com/argocd": "stable" });
    expect(stream?.spec.tags).toEqual([
      expect.objectContaining({ name: "theirs", from: { kind: "ImageStreamTag", name: "stable" } }),
    ]);
    expect(ownedIn(place.cluster)).toEqual({
      "1.0": { installation: "test", mirror: "app", source: "quay.io/o/app:1.0" },
    });
  });

  test("do not both get a tag: who comes second is refused", async () => {
    await using place = await openPlace();
    await using other = await clusterClient(place.cluster);
    place.cluster.seedStream("mirror", "app");
    const elsewhere = other.streams({ owner: "elsewhere" });
    const theirs = [claimOf("1.0", { mirror: "theirs" }), claimOf("3.0", { mirror: "theirs" })];
    place.cluster.on(
      PATCH,
      doing(() => elsewhere.claim(STREAM, theirs)),
    );
    const failures = await place.streams.claim(STREAM, [claimOf("1.0"), claimOf("2.0")]);
    expect([...failures]).toEqual([
      [
        "1.0",
        expect.objectContaining({
          code: "STREAM_OWNED",
          details: { where: "mirror/app:1.0", found: "elsewhere/theirs" },
        }),
      ],
    ]);
    expect(Object.entries(ownedIn(place.cluster)).map(([tag, { mirror }]) => [tag, mirror])).toEqual([
      ["1.0", "theirs"],
      ["2.0", "app"],
      ["3.0", "theirs"],
    ]);
  });

  test("do not go on for ever: after eight conflicts it waits for the next run", async () => {
    await using place = await openPlace();
    place.cluster.seedStream("mirror", "app");
    let edits = 0;
    const disturb = doing(() => {
      edits += 1;
      edit(place.cluster, "argocd", `v${edits}`);
    });
    place.cluster.on({ ...PATCH, always: true }, disturb);
    await expect(place.streams.claim(STREAM, [claimOf("1.0")])).rejects.toMatchObject({
      code: "STREAM_CONFLICT",
    });
    expect(place.cluster.ledger.count(PATCH)).toBe(8);
    expect(annotationOf(place.cluster)).toBeUndefined();
  });

  test("of one process wait for each other instead", async () => {
    await using place = await openPlace();
    const tags = Array.from({ length: 12 }, (_, at) => `1.${at}`);
    await Promise.all(tags.map((tag) => place.streams.claim(STREAM, [claimOf(tag)])));
    expect(Object.keys(ownedIn(place.cluster)).toSorted()).toEqual(tags.toSorted());
    expect(place.cluster.ledger.count({ status: 409 })).toBe(0);
  });

  test("make a stream whose managers the API server records", async () => {
    await using place = await openPlace();
    const { metadata } = await place.streams.ensure(STREAM);
    expect(metadata.managedFields).not.toEqual([]);
    expect(metadata.managedFields).toBeDefined();
  });

  test("may both make the stream", async () => {
    await using place = await openPlace();
    place.cluster.on(
      { method: "POST", path: /\/imagestreams$/ },
      doing(() => place.cluster.seedStream("mirror", "app", { labels: { made: "by-them" } })),
    );
    const { metadata } = await place.streams.ensure(STREAM);
    expect(place.cluster.stream("mirror", "app")?.metadata).toMatchObject({
      uid: metadata.uid,
      labels: { made: "by-them" },
    });
  });
});

describe("a write", () => {
  test("is left out when nothing would change", async () => {
    await using place = await openPlace();
    const claims = [claimOf("2.0"), claimOf("1.0")];
    await place.streams.claim(STREAM, claims);
    await place.streams.recordPublished(STREAM, [publishedOf("1.0")]);
    const { resourceVersion } = place.cluster.stream("mirror", "app")?.metadata ?? {};
    place.cluster.ledger.clear();
    await place.streams.claim(STREAM, claims.toReversed());
    await place.streams.recordPublished(STREAM, [publishedOf("1.0")]);
    await place.streams.recordPublished(STREAM, []);
    await place.streams.recordMissing(STREAM, [{ tag: "1.0", missingSince: undefined }], { mirror: "app" });
    expect(place.cluster.ledger.entries.map(({ method }) => method)).toEqual(["GET", "GET", "GET"]);
    expect(place.cluster.stream("mirror", "app")?.metadata.resourceVersion).toBe(resourceVersion);
  });

  test("leaves annotations, labels and tags of others alone, and is signed with our name", async () => {
    await using place = await openPlace();
    place.cluster.seedStream("mirror", "app", {
      annotations: { "example.com/team": "web" },
      labels: { app: "shop" },
      tags: { stable: { from: "quay.io/o/app:9", scheduled: true } },
    });
    const before = place.cluster.stream("mirror", "app");
    await place.streams.claim(STREAM, [claimOf("1.0")]);
    const after = place.cluster.stream("mirror", "app");
    expect(after?.metadata.annotations).toMatchObject({ "example.com/team": "web" });
    expect(after?.metadata.labels).toEqual({ app: "shop" });
    expect(after?.spec).toEqual(before?.spec);
    expect(after?.metadata.managedFields?.map(({ manager }) => manager)).toContain("tagferry");
  });

  test.for<readonly [string, string]>([
    ["a newer version's", '{"version":2,"tags":{}}'],
    ["a hand's", "mine!"],
  ])("never happens over an annotation of %s that cannot be read", async ([, text]) => {
    await using place = await openPlace();
    place.cluster.seedStream("mirror", "app", { annotations: { [OWNERSHIP_ANNOTATION]: text } });
    await expect(place.streams.claim(STREAM, [claimOf("1.0")])).rejects.toMatchObject({
      code: "STREAM_OWNED",
    });
    await expect(place.streams.removeTags(STREAM, ["1.0"], { mirror: "app" })).rejects.toMatchObject({
      code: "STREAM_OWNED",
    });
    expect(annotationOf(place.cluster)).toBe(text);
    expect(place.cluster.ledger.count({ method: "PATCH" })).toBe(0);
  });

  test("into a namespace that is not there says so", async () => {
    await using place = await openPlace({ namespaces: ["other"] });
    await expect(place.streams.claim(STREAM, [claimOf("1.0")])).rejects.toMatchObject({
      code: "STREAM_NAMESPACE",
    });
  });

  test("is told apart from something else that answers in its place", async () => {
    await using place = await openPlace();
    place.cluster.on({ always: true }, status(200, { body: '{"kind":"Status","metadata":{}}' }));
    await expect(place.streams.get(STREAM)).rejects.toMatchObject({ code: "CLUSTER_ANSWER" });
  });
});

describe("a takeover", () => {
  const IMPORTED = { from: "docker.io/library/app:1.0", scheduled: true } as const;

  test("stills the tag's imports first, and takes the spec tag away when ours is in place", async () => {
    await using place = await openPlace();
    const history = [{ image: DIGEST, reference: `docker.io/library/app@${DIGEST}` }];
    place.cluster.seedStream("mirror", "app", { tags: { "1.0": { ...IMPORTED, history }, "2.0": IMPORTED } });
    await place.streams.claim(STREAM, [claimOf("1.0", { takeover: true })]);
    const specs = () => place.cluster.stream("mirror", "app")?.spec.tags ?? [];
    expect(specs().map(({ name, importPolicy }) => [name, importPolicy.scheduled ?? false])).toEqual([
      ["1.0", false],
      ["2.0", true],
    ]);
    expect(ownedIn(place.cluster)["1.0"]).toMatchObject({ takeover: "begun" });
    await place.streams.recordPublished(STREAM, [publishedOf("1.0", { finishTakeover: true })]);
    expect(specs().map(({ name }) => name)).toEqual(["2.0"]);
    expect(ownedIn(place.cluster)["1.0"]).toMatchObject({
      takeover: "done",
      digest: DIGEST,
      replaced: {
        name: "1.0",
        from: { kind: "DockerImage", name: IMPORTED.from },
        importPolicy: { scheduled: true },
      },
    });
    const kept = place.cluster.stream("mirror", "app")?.status.tags?.find(({ tag }) => tag === "1.0");
    expect(kept?.items?.[0]?.image, "what was there stays in the history").toBe(DIGEST);
  });

  test("that begins again remembers what was there before the first beginning", async () => {
    await using place = await openPlace();
    place.cluster.seedStream("mirror", "app", { tags: { "1.0": IMPORTED } });
    const claim = claimOf("1.0", { takeover: true });
    await place.streams.claim(STREAM, [claim]);
    const before = annotationOf(place.cluster);
    await place.streams.claim(STREAM, [claim]);
    expect(annotationOf(place.cluster)).toBe(before);
    expect(ownedIn(place.cluster)["1.0"]?.replaced?.importPolicy?.scheduled).toBe(true);
  });

  test("does not touch a tag that is refused", async () => {
    await using place = await openPlace();
    await using other = await clusterClient(place.cluster);
    place.cluster.seedStream("mirror", "app", { tags: { "1.0": IMPORTED } });
    await other.streams({ owner: "elsewhere" }).claim(STREAM, [claimOf("1.0")]);
    const failures = await place.streams.claim(STREAM, [claimOf("1.0", { takeover: true })]);
    expect(failures.get("1.0")?.code).toBe("STREAM_OWNED");
    expect(place.cluster.stream("mirror", "app")?.spec.tags?.[0]?.importPolicy.scheduled).toBe(true);
  });
});

describe("a stream whose annotations are full", () => {
  test("says so at once, and stays as it was", async () => {
    await using place = await openPlace();
    place.cluster.seedStream("mirror", "app", { annotations: { "example.com/much": "x".repeat(262_000) } });
    await expect(place.streams.claim(STREAM, [claimOf("1.0")])).rejects.toMatchObject({
      code: "STREAM_INVALID",
      details: { found: expect.stringContaining("must have at most 262144 bytes") as string },
    });
    expect(place.cluster.ledger.count(PATCH)).toBe(1);
    expect(annotationOf(place.cluster)).toBeUndefined();
  });
});

describe("a stream that is not there", () => {
  test("is not made only to note what is missing, or to remove tags", async () => {
    await using place = await openPlace();
    const mirror = { mirror: "app" };
    await place.streams.recordMissing(
      STREAM,
      [{ tag: "1.0", missingSince: "2026-01-01T00:00:00.000Z" }],
      mirror,
    );
    const failures = await place.streams.removeTags(STREAM, ["1.0"], mirror);
    expect(failures.get("1.0")).toMatchObject({ code: "STREAM_OWNED" });
    expect(place.cluster.stream("mirror", "app")).toBeUndefined();
  });
});

describe("tags that are gone at the source", () => {
  const SINCE = "2026-01-01T00:00:00.000Z";

  test("are noted until they are back, and only those of the mirror", async () => {
    await using place = await openPlace();
    await place.streams.claim(STREAM, [claimOf("1.0"), claimOf("2.0", { mirror: "other" })]);
    const missing = ["1.0", "2.0", "3.0"].map((tag) => ({ tag, missingSince: SINCE }));
    await place.streams.recordMissing(STREAM, missing, { mirror: "app" });
    const since = () =>
      Object.entries(ownedIn(place.cluster)).map(([tag, { missingSince }]) => [tag, missingSince]);
    expect(since()).toEqual([
      ["1.0", SINCE],
      ["2.0", undefined],
    ]);
    await place.streams.recordMissing(STREAM, [{ tag: "1.0" }], { mirror: "app" });
    expect(since()).toEqual([
      ["1.0", undefined],
      ["2.0", undefined],
    ]);
  });

  test("are back when they are published", async () => {
    await using place = await openPlace();
    await place.streams.claim(STREAM, [claimOf("1.0")]);
    await place.streams.recordMissing(STREAM, [{ tag: "1.0", missingSince: SINCE }], { mirror: "app" });
    await place.streams.recordPublished(STREAM, [publishedOf("1.0")]);
    expect(ownedIn(place.cluster)["1.0"]).toEqual({
      installation: "test",
      mirror: "app",
      source: "quay.io/o/app:1.0",
      digest: DIGEST,
    });
  });
});

describe("removing tags", () => {
  const pushed = { history: [{ image: DIGEST, reference: `here/mirror/app@${DIGEST}` }] };

  test("removes what the mirror owns, and nothing else", async () => {
    await using place = await openPlace();
    await using other = await clusterClient(place.cluster);
    place.cluster.seedStream("mirror", "app", {
      tags: { ours: pushed, sibling: pushed, elsewhere: pushed, unowned: pushed },
    });
    await place.streams.claim(STREAM, [
      claimOf("ours"),
      claimOf("gone"),
      claimOf("sibling", { mirror: "other" }),
    ]);
    await other.streams({ owner: "elsewhere" }).claim(STREAM, [claimOf("elsewhere")]);
    const tags = ["ours", "gone", "sibling", "elsewhere", "unowned"];
    const failures = await place.streams.removeTags(STREAM, tags, { mirror: "app" });
    expect([...failures].map(([tag, { code, details }]) => [tag, code, details["found"]])).toEqual([
      ["sibling", "STREAM_OWNED", "test/other"],
      ["elsewhere", "STREAM_OWNED", "elsewhere/app"],
      ["unowned", "STREAM_OWNED", "nobody"],
    ]);
    const left = place.cluster.stream("mirror", "app")?.status.tags?.map(({ tag }) => tag);
    expect(left).toEqual(["elsewhere", "sibling", "unowned"]);
    expect(Object.keys(ownedIn(place.cluster))).toEqual(["elsewhere", "sibling"]);
  });

  test("takes the annotation away with the last tag", async () => {
    await using place = await openPlace();
    place.cluster.seedStream("mirror", "app", { tags: { ours: pushed } });
    await place.streams.claim(STREAM, [claimOf("ours")]);
    await place.streams.removeTags(STREAM, ["ours"], { mirror: "app" });
    expect(place.cluster.stream("mirror", "app")?.metadata.annotations).not.toHaveProperty([
      OWNERSHIP_ANNOTATION,
    ]);
  });

  test("that is refused for one tag keeps it ours, and goes on with the others", async () => {
    await using place = await openPlace();
    place.cluster.seedStream("mirror", "app", { tags: { one: pushed, two: pushed } });
    await place.streams.claim(STREAM, [claimOf("one"), claimOf("two")]);
    const body = JSON.stringify({
      message:
        'imagestreamtags "app:one" is forbidden: User "robot" cannot delete resource "imagestreamtags"',
    });
    place.cluster.on({ method: "DELETE", path: /app:one$/, always: true }, status(403, { body }));
    const failures = await place.streams.removeTags(STREAM, ["one", "two"], { mirror: "app" });
    expect([...failures].map(([tag, { code, message }]) => [tag, code, message])).toEqual([
      ["one", "CLUSTER_DENIED", expect.stringContaining("delete imagestreamtags")],
    ]);
    expect(Object.keys(ownedIn(place.cluster))).toEqual(["one"]);
  });
});

describe("the integrated registry", () => {
  test("is read from the stream, unless the configuration names it", async () => {
    await using place = await openPlace({
      internalRegistryHost: "image-registry.openshift-image-registry.svc:5000",
    });
    await using client = await clusterClient(place.cluster);
    await expect(place.streams.registryHost(STREAM)).resolves.toBe(place.cluster.publicRegistryHost);
    await expect(client.streams({ registry: "registry.corp" }).registryHost(STREAM)).resolves.toBe(
      "registry.corp",
    );
  });

  test("is logged in to with the user's token", async () => {
    await using place = await openPlace();
    await expect(place.streams.registryToken()).resolves.toBe(place.cluster.token);
  });

  test("cannot be logged in to by a user without one", async () => {
    await using cluster = await startCluster();
    const kubeconfig = cluster.kubeconfig.replace(/token: .*/, "username: admin\n      password: secret");
    await using client = await clusterClient({ kubeconfig, token: cluster.token });
    await expect(client.streams().registryToken()).rejects.toMatchObject({ code: "CLUSTER_TOKEN" });
  });
});
