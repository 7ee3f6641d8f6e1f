import { describe, expect, test } from "vitest";

import { openRedis } from "../../src/daemon/redis.ts";
import { fileShelf } from "../../src/daemon/shelf-file.ts";
import { redisShelf } from "../../src/daemon/shelf-redis.ts";
import { inProcessShelf, type Shelf } from "../../src/daemon/shelf.ts";
import { until } from "../support/daemon-scene.ts";
import { startRedis } from "../support/redis.ts";
import { SILENT } from "../support/registry-client.ts";
import { temporaryDirectory } from "../support/temporary.ts";

type OpenShelf = AsyncDisposable & { readonly shelf: Shelf };

async function inFile(): Promise<OpenShelf> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const shelf = stack.use(await fileShelf(directory.join("shelf.jsonl"), { log: SILENT }));
  const owned = stack.move();
  return { shelf, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function onRedis(): Promise<OpenShelf> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const link = stack.use(openRedis({ url: redis.url }, SILENT));
  await link.settle(5_000);
  const owned = stack.move();
  return { shelf: redisShelf(link), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const IMPLEMENTATIONS = [
  {
    name: "in process",
    open: async () => ({ shelf: inProcessShelf(), [Symbol.asyncDispose]: async () => {} }),
  },
  { name: "in a file", open: inFile },
  { name: "on Redis", open: onRedis },
] as const;

describe.for(IMPLEMENTATIONS)("a shelf $name", ({ open }) => {
  test("gives back what was put there, field by field", async () => {
    await using opened = await open();
    const { shelf } = opened;
    expect(await shelf.get("a", "x")).toBeUndefined();
    expect(await shelf.all("a")).toEqual(new Map());
    await shelf.put("a", { x: "1", y: 'two "lines"\n' });
    await shelf.put("a", { x: "3" });
    await shelf.put("b", { x: "4" });
    expect(await shelf.get("a", "x")).toBe("3");
    expect(new Map(await shelf.all("a"))).toEqual(new Map(Object.entries({ x: "3", y: 'two "lines"\n' })));
  });

  test("removes fields, or the place", async () => {
    await using opened = await open();
    const { shelf } = opened;
    await shelf.put("a", { x: "1", y: "2", z: "3" });
    await shelf.remove("a", ["x", "nothing"]);
    expect([...(await shelf.all("a")).keys()].toSorted()).toEqual(["y", "z"]);
    await shelf.remove("a", []);
    expect((await shelf.all("a")).size).toBe(2);
    await shelf.remove("a");
    expect((await shelf.all("a")).size).toBe(0);
    await shelf.remove("never there");
  });

  test("counts, also when many count at once", async () => {
    await using opened = await open();
    const { shelf } = opened;
    const sums = await Promise.all(Array.from({ length: 20 }, () => shelf.add("a", "count", 1)));
    expect(sums.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    expect(await shelf.add("a", "count", -5)).toBe(15);
  });

  test("forgets a place in its time, counted from when it was last written so", async () => {
    await using opened = await open();
    const { shelf } = opened;
    await shelf.put("brief", { x: "1" }, { keepMs: 60 });
    await shelf.put("renewed", { x: "1" }, { keepMs: 60 });
    await shelf.put("renewed", { y: "1" }, { keepMs: 60_000 });
    await until(async () => (await shelf.all("brief")).size === 0);
    expect((await shelf.all("renewed")).size).toBe(2);
    // and a place that is begun anew is not forgotten with the old one
    await shelf.put("again", { x: "1" }, { keepMs: 40 });
    await shelf.remove("again");
    await shelf.put("again", { x: "2" });
    await shelf.put("clock", { x: "1" }, { keepMs: 120 });
    await until(async () => (await shelf.all("clock")).size === 0);
    expect(await shelf.get("again", "x")).toBe("2");
  });

  test("tells every listener, until he leaves", async () => {
    await using opened = await open();
    const { shelf } = opened;
    const [one, other]: [string[], string[]] = [[], []];
    const leaving = shelf.listen((message) => void one.push(message));
    using _ = shelf.listen((message) => void other.push(message));
    await until(async () => {
      // who listens on Redis needs a moment to be connected
      if (one.length === 0) await shelf.tell("first");
      return one.length > 0 && other.length > 0;
    });
    leaving[Symbol.dispose]();
    const before = one.length;
    await shelf.tell("last");
    await until(() => other.at(-1) === "last");
    expect(one).toHaveLength(before);
  });
});
