import { describe, expect, test } from "vitest";

import type { Digest } from "../../src/oci/digest.ts";
import { apiStatusOf } from "../../src/openshift/answer.ts";
import { importImages } from "../../src/openshift/import.ts";
import { watchStreams } from "../../src/openshift/watch.ts";
import { type ClusterClient, clusterClient } from "../support/cluster/client.ts";
import { startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { status } from "../support/registry/faults.ts";
import type { RuleMatch } from "../support/registry/rules.ts";

const STREAM = { namespace: "mirror", name: "app" };
const METADATA = { name: "app", namespace: "mirror", resourceVersion: "7" };
const DIGEST: Digest = `sha256:${"a".repeat(64)}`;
const TAG = { tag: "1", from: `quay.io/o/app@${DIGEST}`, digest: DIGEST, referencePolicy: "Source" } as const;
const WATCH = { method: "GET", path: /\/imagestreams\?.*watch=/ };

type Place = AsyncDisposable & { readonly cluster: TestCluster; readonly client: ClusterClient };

async function openPlace(): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster());
  const client = stack.use(await clusterClient(cluster, { retry: { attempts: 1 } }));
  cluster.seedStream("mirror", "app");
  const owned = stack.move();
  return { cluster, client, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Everything that reads an answer of the API server. */
type Reader = {
  readonly match: RuleMatch;
  readonly read: (client: ClusterClient) => Promise<unknown>;
};

const READERS: Readonly<Record<string, Reader>> = {
  "a stream": {
    match: { method: "GET", path: /\/imagestreams\/app$/ },
    read: (client) => client.streams().get(STREAM),
  },
  "a stream that was created": {
    match: { method: "POST", path: /\/imagestreams$/ },
    read: (client) => client.streams().ensure({ ...STREAM, name: "new" }),
  },
  "a list of streams": {
    match: { method: "GET", path: /\/imagestreams\?limit=/ },
    read: (client) => watchStreams(client.api, "mirror", { pauseMs: 1 }).next(),
  },
  "the events of a watch": { match: WATCH, read: secondNews },
  "an import": {
    match: { method: "POST", path: /\/imagestreamimports$/ },
    read: (client) => importImages(client.api, STREAM, [{ ...TAG, insecure: false }], {}),
  },
};

/** What a watch says after the list. */
async function secondNews(client: ClusterClient): Promise<unknown> {
  const watch = watchStreams(client.api, "mirror", { pauseMs: 1 });
  await watch.next();
  return watch.next();
}

const PAGE = "<!DOCTYPE html><html><body>Sign in</body></html>";
const GARBAGE = [
  PAGE,
  "{",
  "{}",
  "null",
  "[]",
  "7",
  '"text"',
  '{"metadata":null}',
  '{"metadata":{"name":7}}',
];

describe.for(Object.entries(READERS))("for %s", ([, { match, read }]) => {
  test.for(GARBAGE)("%j is an answer that is wrong, and harms no later question", async (body) => {
    await using place = await openPlace();
    const restore = place.cluster.on({ ...match, always: true }, status(200, { body: `${body}\n` }));
    await expect(read(place.client)).rejects.toMatchObject({
      code: "CLUSTER_ANSWER",
      message: expect.stringMatching(/^mirror(?:\/(?:app|new))?: /),
    });
    restore();
    await expect(place.client.streams().get(STREAM)).resolves.toMatchObject({ metadata: { name: "app" } });
  });
});

/** A JSON list of a million items. */
const many = (item: string): string => `[${Array.from({ length: 1_000_000 }, () => item).join(",")}]`;

describe("a stream is refused, with the field that is wrong, when", () => {
  test.for<readonly [string, object]>([
    ["metadata.resourceVersion", { metadata: { ...METADATA, resourceVersion: 7 } }],
    ["metadata.namespace", { metadata: { ...METADATA, namespace: null } }],
    ["metadata.annotations", { metadata: { ...METADATA, annotations: "none" } }],
    [
      "metadata.annotations.tagferry.io/mirrors",
      { metadata: { ...METADATA, annotations: { "tagferry.io/mirrors": {} } } },
    ],
    ["metadata.managedFields.0", { metadata: { ...METADATA, managedFields: [null] } }],
    ["spec.tags", { spec: { tags: {} } }],
    ["spec.tags.0", { spec: { tags: [null] } }],
    ["spec.tags.1", { spec: { tags: [{ name: "1" }, { name: "2", from: {} }] } }],
    ["spec.tags.0", { spec: { tags: [{ name: "1", importPolicy: { scheduled: 1 } }] } }],
    ["status.dockerImageRepository", { status: { dockerImageRepository: ["a"] } }],
    [
      "status.tags.0.items.0.image",
      { status: { tags: [{ tag: "1", items: [{ dockerImageReference: "a" }] }] } },
    ],
    ["status.tags.0.items", { status: { tags: [{ tag: "1", items: "none" }] } }],
  ])("%s has another type", async ([field, part]) => {
    await using place = await openPlace();
    const body = JSON.stringify({ metadata: METADATA, ...part });
    place.cluster.on({ ...READERS["a stream"]?.match, always: true }, status(200, { body }));
    await expect(place.client.streams().get(STREAM)).rejects.toMatchObject({
      code: "CLUSTER_ANSWER",
      details: { where: "mirror/app", found: expect.stringMatching(new RegExp(`^${field}: `)) },
    });
  });

  test("a list has a million wrong items: the first one is named, and the answer stays short", async () => {
    await using place = await openPlace();
    for (const body of [
      `{"metadata":${JSON.stringify(METADATA)},"spec":{"tags":${many("0")}}}`,
      `{"metadata":${JSON.stringify(METADATA)},"status":{"tags":${many("null")}}}`,
      `{"metadata":{"name":"app","managedFields":${many("7")}}}`,
    ]) {
      const restore = place.cluster.on(
        { ...READERS["a stream"]?.match, always: true },
        status(200, { body }),
      );
      const error: unknown = await place.client
        .streams()
        .get(STREAM)
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "CLUSTER_ANSWER" });
      expect(JSON.stringify(error).length).toBeLessThan(1_000);
      restore();
    }
  });
});

test("fields that Tagferry does not know are no fault, and null is an empty list", async () => {
  await using place = await openPlace();
  const body = JSON.stringify({
    kind: "ImageStream",
    metadata: { ...METADATA, creationTimestamp: null, annotations: { other: 7 }, managedFields: null },
    spec: { tags: null, later: [1] },
    status: { tags: [{ tag: "1", items: null, conditions: 7 }], later: {} },
  });
  place.cluster.on({ ...READERS["a stream"]?.match, always: true }, status(200, { body }));
  await expect(place.client.streams().get(STREAM)).resolves.toMatchObject({
    metadata: METADATA,
    status: { tags: [{ tag: "1", items: null }] },
  });
});

describe("a list of streams", () => {
  test.for([
    ['{"metadata":{"resourceVersion":"1"},"items":{}}', "items: "],
    ['{"metadata":{"resourceVersion":"1"},"items":[null]}', "an image stream"],
    ['{"metadata":{"resourceVersion":1},"items":[]}', "resourceVersion: "],
    ['{"metadata":{"resourceVersion":"1","continue":7},"items":[]}', "continue: "],
  ] as const)("that is %s is refused", async ([body, said]) => {
    await using place = await openPlace();
    place.cluster.on({ ...READERS["a list of streams"]?.match, always: true }, status(200, { body }));
    const error: unknown = await READERS["a list of streams"]?.read(place.client).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "CLUSTER_ANSWER" });
    expect(JSON.stringify([error, String(error)])).toContain(said);
  });

  test("that never ends is given up", async () => {
    await using place = await openPlace();
    const body = '{"metadata":{"resourceVersion":"1","continue":"more"},"items":[]}';
    place.cluster.on({ ...READERS["a list of streams"]?.match, always: true }, status(200, { body }));
    await expect(READERS["a list of streams"]?.read(place.client)).rejects.toMatchObject({
      code: "CLUSTER_ANSWER",
      message: expect.stringContaining("does not end"),
    });
    expect(place.cluster.ledger.count()).toBe(200);
  });
});

test.for([
  '{"type":"BOOKMARK","object":{}}',
  '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":7}}}',
  '{"type":"MODIFIED","object":null}',
  '{"type":"DELETED"}',
  '{"type":7,"object":{}}',
])("a watch that says %s ends", async (line) => {
  await using place = await openPlace();
  place.cluster.on({ ...WATCH, always: true }, status(200, { body: `${line}\n` }));
  await expect(secondNews(place.client)).rejects.toMatchObject({ code: "CLUSTER_ANSWER" });
});

test.for<readonly [string, unknown]>([
  ["null", null],
  ["a number", 7],
  ["without a status", {}],
  ["whose status is a text", { status: "Success" }],
  ["whose message is a list", { status: { status: "Failure", message: [] } }],
  ["without a name", { status: { status: "Success" }, image: { metadata: {} } }],
])("an imported image that is %s fails its own tag, and no other", async ([, image]) => {
  await using place = await openPlace();
  const good = { status: { status: "Success" }, image: { metadata: { name: DIGEST } } };
  const body = JSON.stringify({ status: { images: [good, image, good] } });
  place.cluster.on({ ...READERS["an import"]?.match, always: true }, status(201, { body }));
  const tags = ["1", "2", "3"].map((tag) => ({ ...TAG, tag, insecure: false }));
  const failures = await importImages(place.client.api, STREAM, tags, {});
  expect([...failures]).toMatchObject([
    ["2", { code: "CLUSTER_ANSWER", details: { where: "mirror/app:2" } }],
  ]);
});

test.for([PAGE, "{}", "null", '{"kind":"Event","count":"many"}', '{"kind":"Pod","count":1}'])(
  "an Event that is %j is left alone, and fails nothing",
  async (body) => {
    await using place = await openPlace();
    const about = {
      tag: "1",
      mirror: "app",
      failure: { code: "UPLOAD", message: "m", next: "n", details: {} },
    } as const;
    place.cluster.on({ method: "GET", path: /\/events\//, always: true }, status(200, { body }));
    await place.client.streams().event(STREAM, about);
    expect(place.cluster.objects("", "events")).toEqual([]);
  },
);

describe("a Status", () => {
  test.for<readonly [unknown, object]>([
    [undefined, { message: "" }],
    [null, { message: "" }],
    ["text", { message: "" }],
    [[], { message: "" }],
    [{ message: 7, reason: {}, code: "404" }, { message: "" }],
    [
      { message: "m", reason: "NotFound", code: 404, details: null },
      { message: "m", reason: "NotFound", code: 404 },
    ],
  ])("of %j gives what can be read", ([body, expected]) => {
    expect(JSON.parse(JSON.stringify(apiStatusOf(body)))).toEqual(expected);
  });

  test("of any length is cut", () => {
    expect(apiStatusOf({ message: "x".repeat(1_000_000) }).message.length).toBe(4_096);
  });

  test.for(['{"message":7}', '{"message":{"a":1},"reason":7}', "[]", PAGE, ""])(
    "of a refusal that is %j says the status at least",
    async (body) => {
      await using place = await openPlace();
      for (const [code, expected] of [
        [401, "CLUSTER_DENIED"],
        [403, "CLUSTER_DENIED"],
        [409, "STREAM_CONFLICT"],
        [422, "STREAM_INVALID"],
        [500, "CLUSTER_UNREACHABLE"],
      ] as const) {
        const restore = place.cluster.on(
          { ...READERS["a stream"]?.match, always: true },
          status(code, { body, headers: { "retry-after": "1e300" } }),
        );
        await expect(place.client.streams().get(STREAM)).rejects.toMatchObject({
          code: expected,
          details: { status: code },
        });
        restore();
      }
    },
  );
});
