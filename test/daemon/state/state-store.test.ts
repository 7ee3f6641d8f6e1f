import { describe, expect, test } from "vitest";

import { openRedis } from "../../../src/daemon/redis/connection.ts";
import { fileStateStore } from "../../../src/daemon/state/file.ts";
import { redisStateStore } from "../../../src/daemon/state/redis.ts";
import { inProcessStateStore, type StateStore } from "../../../src/daemon/state/state-store.ts";
import { until } from "../../support/daemon-scene.ts";
import { startRedis } from "../../support/redis.ts";
import { SILENT } from "../../support/registry/client.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

type OpenStore = AsyncDisposable & { readonly store: StateStore };

async function inFile(): Promise<OpenStore> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const store = stack.use(await fileStateStore(directory.join("store.jsonl"), { log: SILENT }));
  const owned = stack.move();
  return { store, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function onRedis(): Promise<OpenStore> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const link = stack.use(openRedis({ url: redis.url }, SILENT));
  await link.settle(5_000);
  const owned = stack.move();
  return { store: redisStateStore(link), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const IMPLEMENTATIONS = [
  {
    name: "in process",
    open: async () => ({ store: inProcessStateStore(), [Symbol.asyncDispose]: async () => {} }),
  },
  { name: "in a file", open: inFile },
  { name: "on Redis", open: onRedis },
] as const;

describe.for(IMPLEMENTATIONS)("a store $name", ({ open }) => {
  test("gives back what was put there, field by field", async () => {
    await using opened = await open();
    const { store } = opened;
    expect(await store.get("a", "x")).toBeUndefined();
    expect(await store.all("a")).toEqual(new Map());
    await store.set("a", { x: "1", y: 'two "lines"\n' });
    await store.set("a", { x: "3" });
    await store.set("b", { x: "4" });
    expect(await store.get("a", "x")).toBe("3");
    expect(new Map(await store.all("a"))).toEqual(new Map(Object.entries({ x: "3", y: 'two "lines"\n' })));
  });

  test("removes fields, or the place", async () => {
    await using opened = await open();
    const { store } = opened;
    await store.set("a", { x: "1", y: "2", z: "3" });
    await store.remove("a", ["x", "nothing"]);
    expect([...(await store.all("a")).keys()].toSorted()).toEqual(["y", "z"]);
    await store.remove("a", []);
    expect((await store.all("a")).size).toBe(2);
    await store.remove("a");
    expect((await store.all("a")).size).toBe(0);
    await store.remove("never there");
  });

  test("counts, also when many count at once", async () => {
    await using opened = await open();
    const { store } = opened;
    const sums = await Promise.all(Array.from({ length: 20 }, () => store.add("a", "count", 1)));
    expect(sums.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    expect(await store.add("a", "count", -5)).toBe(15);
  });

  test.for(["junk", "", "1.5", "nan", "inf", "1e300", "[]"])(
    "counts from 0 where somebody wrote %j",
    async (text) => {
      await using opened = await open();
      const { store } = opened;
      await store.set("a", { count: text });
      expect(await store.add("a", "count", 2)).toBe(2);
      expect(await store.add("a", "count", 2)).toBe(4);
    },
  );

  test("forgets a place in its time, counted from when it was last written so", async () => {
    await using opened = await open();
    const { store } = opened;
    await store.set("brief", { x: "1" }, { ttlMs: 60 });
    await store.set("renewed", { x: "1" }, { ttlMs: 60 });
    await store.set("renewed", { y: "1" }, { ttlMs: 60_000 });
    await until(async () => (await store.all("brief")).size === 0);
    expect((await store.all("renewed")).size).toBe(2);
    // a namespace that is used again does not expire with the old entries
    await store.set("again", { x: "1" }, { ttlMs: 40 });
    await store.remove("again");
    await store.set("again", { x: "2" });
    await store.set("clock", { x: "1" }, { ttlMs: 120 });
    await until(async () => (await store.all("clock")).size === 0);
    expect(await store.get("again", "x")).toBe("2");
  });

  test("tells every listener, until he leaves", async () => {
    await using opened = await open();
    const { store } = opened;
    const [one, other]: [string[], string[]] = [[], []];
    const leaving = store.subscribe((message) => void one.push(message));
    using _ = store.subscribe((message) => void other.push(message));
    await until(async () => {
      // a Redis subscriber needs a moment to connect
      if (one.length === 0) await store.publish("first");
      return one.length > 0 && other.length > 0;
    });
    leaving[Symbol.dispose]();
    const before = one.length;
    await store.publish("last");
    await until(() => other.at(-1) === "last");
    expect(one).toHaveLength(before);
  });
});
