import { describe, expect, test } from "vitest";

import type { Streams } from "../../src/openshift/streams.ts";
import { type StreamNews, watchStreams } from "../../src/openshift/watch.ts";
import { clusterClient } from "../support/cluster/client.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { until } from "../support/daemon-scene.ts";
import { reset } from "../support/registry/connection-faults.ts";
import { status } from "../support/registry/faults.ts";
import type { Fault } from "../support/registry/rules.ts";

const WATCH = { method: "GET", path: /\/imagestreams\?.*watch=/ };

const told = (body: string): Fault => status(200, { body });

type Watching = AsyncDisposable & {
  readonly cluster: TestCluster;
  readonly streams: Streams;
  readonly news: readonly string[];
  /** The reason why the watch ended. */
  readonly ended: Promise<unknown>;
};

function lineOf(news: StreamNews): string {
  if (news.kind === "all") return `all ${news.streams.map(({ metadata }) => metadata.name).join(" ")}`.trim();
  return `${news.kind} ${news.stream.metadata.name}`;
}

/** Watches the namespace `mirror`, which has one stream. */
async function openWatching(
  prepare: (cluster: TestCluster) => void = () => {},
  options?: ClusterOptions,
): Promise<Watching> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster(options));
  cluster.seedStream("mirror", "app");
  prepare(cluster);
  const client = stack.use(await clusterClient(cluster));
  const news: string[] = [];
  const stopping = new AbortController();
  const ended = (async () => {
    for await (const one of watchStreams(client.api, "mirror", { signal: stopping.signal, pauseMs: 1 }))
      news.push(lineOf(one));
  })().catch((error: unknown) => error);
  stack.defer(async () => {
    stopping.abort();
    await ended;
  });
  const owned = stack.move();
  return {
    cluster,
    streams: client.streams(),
    news,
    ended,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const counted = ({ ledger }: TestCluster): { lists: number; watches: number } => {
  const asked = ledger.entries.filter(
    ({ method, path }) => method === "GET" && path.endsWith("/imagestreams"),
  );
  const watches = asked.filter(({ query }) => query.includes("watch=")).length;
  return { lists: asked.length - watches, watches };
};

const versionsAsked = ({ ledger }: TestCluster): number[] =>
  ledger.entries
    .filter(({ query }) => query.includes("watch="))
    .map(({ query }) => Number(new URLSearchParams(query).get("resourceVersion")));

function touch(cluster: TestCluster, name = "app"): void {
  cluster.editStream("mirror", name, "somebody", (stream) => {
    stream.metadata.annotations = { at: String(Math.random()) };
  });
}

describe("a watch of image streams", () => {
  test("tells all there are, and then what becomes of them", async () => {
    await using watching = await openWatching();
    const { cluster, news } = watching;
    await until(() => cluster.watchers === 1);
    touch(cluster);
    cluster.seedStream("mirror", "new");
    await until(() => news.length === 3);
    expect(news).toEqual(["all app", "changed app", "changed new"]);
    expect(counted(cluster)).toEqual({ lists: 1, watches: 1 });
  });

  test("tells of no other namespace", async () => {
    await using watching = await openWatching(undefined, { namespaces: ["mirror", "other"] });
    const { cluster, news } = watching;
    await until(() => cluster.watchers === 1);
    cluster.seedStream("other", "theirs");
    touch(cluster);
    await until(() => news.length === 2);
    expect(news).toEqual(["all app", "changed app"]);
  });

  test("goes on where it was when the server ends it, and misses nothing in between", async () => {
    await using watching = await openWatching();
    const { cluster, news } = watching;
    await until(() => cluster.watchers === 1);
    touch(cluster);
    await until(() => news.length === 2);
    const release = await heldWatch(cluster);
    cluster.seedStream("mirror", "meanwhile");
    release();
    await until(() => news.length === 3);
    expect(news).toEqual(["all app", "changed app", "changed meanwhile"]);
    expect(counted(cluster)).toEqual({ lists: 1, watches: 2 });
  });

  test("remembers the version that a bookmark brings", async () => {
    await using watching = await openWatching(undefined, { namespaces: ["mirror", "other"] });
    const { cluster } = watching;
    await until(() => cluster.watchers === 1);
    cluster.seedStream("other", "theirs");
    cluster.sendBookmarks();
    cluster.endWatches();
    await until(() => counted(cluster).watches === 2 && cluster.watchers === 1);
    const [first = 0, second = 0] = versionsAsked(cluster);
    expect(second).toBeGreaterThan(first);
  });

  test("begins with all streams again when the server no longer knows the version", async () => {
    await using watching = await openWatching();
    const { cluster, news } = watching;
    await until(() => cluster.watchers === 1);
    const release = await heldWatch(cluster);
    cluster.seedStream("mirror", "meanwhile");
    cluster.compact();
    release();
    await until(() => news.length === 2);
    expect(news[1]).toBe("all app meanwhile");
    await until(() => cluster.watchers === 1);
    touch(cluster);
    await until(() => news.length === 3);
    expect(counted(cluster)).toEqual({ lists: 2, watches: 3 });
  });

  test("does so too when the version is refused before the watch begins", async () => {
    await using watching = await openWatching((cluster) =>
      cluster.on({ ...WATCH }, status(410, { body: '{"kind":"Status","code":410,"reason":"Expired"}' })),
    );
    await until(() => watching.cluster.watchers === 1);
    expect(watching.news).toEqual(["all app", "all app"]);
  });

  test("survives one broken connection, and says so when the next one breaks as well", async () => {
    await using once = await openWatching((cluster) => cluster.on({ ...WATCH }, reset()));
    await until(() => once.cluster.watchers === 1);
    expect(once.news).toEqual(["all app"]);
    await using twice = await openWatching((cluster) => cluster.on({ ...WATCH }, reset(), reset()));
    expect(await twice.ended).toMatchObject({ code: "CLUSTER_UNREACHABLE" });
  });

  test("reads streams of any size", async () => {
    await using watching = await openWatching();
    const { cluster, news } = watching;
    await until(() => cluster.watchers === 1);
    for (const text of ["ü".repeat(100_000), "x".repeat(200_000)])
      cluster.editStream("mirror", "app", "somebody", (stream) => {
        stream.metadata.annotations = { text };
      });
    await until(() => news.length === 3);
    expect(news).toEqual(["all app", "changed app", "changed app"]);
  });

  test("reads a long list in pages", async () => {
    await using watching = await openWatching((cluster) => {
      for (let count = 0; count < 600; count += 1) cluster.seedStream("mirror", `app-${count}`);
    });
    await until(() => watching.news.length === 1);
    expect(watching.news[0]?.split(" ")).toHaveLength(1 + 601);
    expect(counted(watching.cluster).lists).toBe(2);
  });

  test.for([
    [
      "may not",
      status(403, { body: '{"kind":"Status","message":"user cannot watch resource"}' }),
      "CLUSTER_DENIED",
    ],
    ["are not told in JSON", told("<html>\n"), "CLUSTER_ANSWER"],
    ["are told something else", told('{"type":"ADDED","object":{"kind":"Pod"}}\n'), "CLUSTER_ANSWER"],
    [
      "are told of an error",
      told('{"type":"ERROR","object":{"code":500,"message":"etcd is away"}}\n'),
      "CLUSTER_UNREACHABLE",
    ],
  ] as const)("ends when we %s", async ([, fault, code]) => {
    await using watching = await openWatching((cluster) => cluster.on({ ...WATCH, always: true }, fault));
    expect(await watching.ended).toMatchObject({ code });
  });

  test("leaves nothing open when it is called off", async () => {
    await using cluster = await startCluster();
    await using client = await clusterClient(cluster);
    const stopping = new AbortController();
    const watch = client.streams().watch("mirror", { signal: stopping.signal });
    const reading = Array.fromAsync(watch).catch((error: unknown) => error);
    await until(() => cluster.watchers === 1);
    stopping.abort();
    expect(await reading).toBe(stopping.signal.reason);
    await until(() => cluster.watchers === 0);
  });
});

/** Ends the watch, and holds the next one until it is released. */
async function heldWatch(cluster: TestCluster): Promise<() => void> {
  const holding = cluster.gate({ ...WATCH });
  cluster.endWatches();
  const held = await holding;
  return () => held.release();
}
