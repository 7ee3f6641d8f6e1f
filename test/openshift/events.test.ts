import { describe, expect, test } from "vitest";

import type { Failure } from "../../src/errors/error.ts";
import { type ClusterClient, clusterClient } from "../support/cluster/client.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { doing, status } from "../support/registry/faults.ts";

const STREAM = { namespace: "mirror", name: "app" };
const FAILURE: Failure = {
  code: "TARGET_QUOTA",
  message: "mirror/app: a quota or limit of the namespace refuses it",
  next: "Ask for more quota.",
  details: { status: 403 },
};
const ABOUT = { tag: "1.0", mirror: "app", failure: FAILURE };

type Place = AsyncDisposable & { readonly cluster: TestCluster; readonly client: ClusterClient };

async function openPlace(options?: ClusterOptions): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster(options));
  const client = stack.use(await clusterClient(cluster));
  const owned = stack.move();
  cluster.seedStream("mirror", "app");
  return { cluster, client, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe("an Event", () => {
  test("is on the stream, where people look, and says what and what next", async () => {
    await using place = await openPlace();
    await place.client.streams().event(STREAM, ABOUT);
    expect(place.cluster.objects("", "events")).toEqual([
      expect.objectContaining({
        apiVersion: "v1",
        kind: "Event",
        type: "Warning",
        reason: "TARGET_QUOTA",
        message: `tag 1.0 (mirror app): ${FAILURE.message}. ${FAILURE.next}`,
        involvedObject: {
          apiVersion: "image.openshift.io/v1",
          kind: "ImageStream",
          name: "app",
          namespace: "mirror",
          uid: place.cluster.stream("mirror", "app")?.metadata.uid,
        },
        source: { component: "tagferry", host: "test" },
        count: 1,
        firstTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      }),
    ]);
  });

  test("of the same failure is counted up; another tag, code or message is another Event", async () => {
    await using place = await openPlace();
    const streams = place.client.streams();
    for (let times = 0; times < 3; times += 1) await streams.event(STREAM, ABOUT);
    await streams.event(STREAM, { ...ABOUT, tag: "2.0" });
    await streams.event(STREAM, { ...ABOUT, failure: { ...FAILURE, code: "CLUSTER_DENIED" } });
    await streams.event(STREAM, { ...ABOUT, failure: { ...FAILURE, message: "something else" } });
    const events = place.cluster.objects("", "events");
    expect(events.map(({ count }) => count)).toEqual([3, 1, 1, 1]);
    expect(events[0]?.["lastTimestamp"]).toEqual(expect.stringMatching(/Z$/));
  });

  test("has a name that Kubernetes takes", async () => {
    await using place = await openPlace();
    await place.client.streams().event(STREAM, { ...ABOUT, tag: "RC_1.0-Über", mirror: "Ä/ö" });
    const [event] = place.cluster.objects("", "events");
    expect(event?.metadata.name).toMatch(/^app\.tagferry-[0-9a-f]{16}$/);
  });

  test("cuts what is too long, and lets no control character through", async () => {
    await using place = await openPlace();
    const message = `\u001b[31m${"x".repeat(5_000)}`;
    await place.client.streams().event(STREAM, { ...ABOUT, failure: { ...FAILURE, message } });
    const [event] = place.cluster.objects("", "events");
    const text = String(event?.["message"]);
    expect(text.length).toBeLessThanOrEqual(1_024);
    expect(text).toMatch(/^tag 1\.0 \(mirror app\): \\u001b\[31mx+…$/);
  });

  test("is written once by two who meet", async () => {
    await using place = await openPlace();
    const create = { method: "POST", path: /\/events$/ };
    const other = place.client.streams();
    place.cluster.on(
      create,
      doing(() => other.event(STREAM, ABOUT)),
    );
    await place.client.streams().event(STREAM, ABOUT);
    expect(place.cluster.ledger.find(create).map((entry) => entry.status)).toEqual([409, 201]);
    expect(place.cluster.objects("", "events")).toHaveLength(1);
  });

  test("is not written about a stream that is not there, which is not made either", async () => {
    await using place = await openPlace();
    await place.client.streams().event({ namespace: "mirror", name: "none" }, ABOUT);
    expect(place.cluster.objects("", "events")).toEqual([]);
    expect(place.cluster.stream("mirror", "none")).toBeUndefined();
  });
});

describe("an Event that cannot be written fails nothing", () => {
  test("when the right to it is missing", async () => {
    await using place = await openPlace({
      users: [{ name: "robot", rules: [{ resources: ["imagestreams"], verbs: ["get"] }] }],
    });
    await expect(place.client.streams().event(STREAM, ABOUT)).resolves.toBeUndefined();
    expect(place.cluster.ledger.count({ path: /\/events/ })).toBe(1);
  });

  test("when the server has trouble", async () => {
    await using place = await openPlace();
    place.cluster.on({ path: /\/events/, always: true }, status(500));
    await expect(place.client.streams().event(STREAM, ABOUT)).resolves.toBeUndefined();
  });

  test("but who stops in the middle is stopped", async () => {
    await using place = await openPlace();
    const stop = new AbortController();
    place.cluster.on(
      { path: /\/events/ },
      doing(() => stop.abort(new Error("enough"))),
    );
    await expect(place.client.streams().event(STREAM, ABOUT, { signal: stop.signal })).rejects.toThrow(
      "enough",
    );
  });
});
