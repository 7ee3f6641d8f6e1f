import { expect, test } from "vitest";

import { type CopyEvent, openEvents } from "../../src/copy/events.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";

const MEBIBYTE = 1024 * 1024;
const one = digestOf(Buffer.from("one"));
const other = digestOf(Buffer.from("other"));
const healed: CopyEvent = { kind: "healed", digests: [] };

test("gives events in the order in which they were put", async () => {
  const events = openEvents({ signal: new AbortController().signal });
  const put = Array.from({ length: 10 }, (_, blobs): CopyEvent => ({
    kind: "planned",
    manifests: 1,
    blobs,
    bytes: 0,
  }));
  for (const event of put) await events.put(event);
  events.close();
  expect(await Array.fromAsync(events)).toEqual(put);
});

test("adds bytes up, and never makes who counts them wait", async () => {
  const events = openEvents({ signal: new AbortController().signal });
  for (let chunk = 0; chunk < 100_000; chunk += 1) events.bytes(one, 64 * 1024);
  const putting = events.put(blobEvent(one)).then(() => events.close());
  const seen = await Array.fromAsync(events);
  await putting;
  expect(seen.length).toBeLessThan(70);
  expect(bytesOf(seen)).toBe(100_000 * 64 * 1024);
});

test("tells bytes that were taken back as negative", async () => {
  const events = openEvents({ signal: new AbortController().signal });
  events.bytes(one, 3 * MEBIBYTE);
  events.bytes(one, -3 * MEBIBYTE);
  events.bytes(one, 10);
  await events.put(blobEvent(one));
  events.close();
  const seen = await Array.fromAsync(events);
  expect(seen.map((event) => (event.kind === "bytes" ? event.bytes : 0))).toEqual([
    3 * MEBIBYTE,
    -3 * MEBIBYTE,
    10,
    0,
  ]);
});

test("holds back bytes of a blob that is still moving, not those of one that ended", async () => {
  const events = openEvents({ signal: new AbortController().signal });
  events.bytes(one, 5);
  events.bytes(other, 7);
  await events.put(blobEvent(other));
  events.close();
  expect(await Array.fromAsync(events)).toEqual([
    { kind: "bytes", digest: other, bytes: 7 },
    blobEvent(other),
  ]);
});

test("lets who puts wait while nobody reads", async () => {
  const events = openEvents({ signal: new AbortController().signal });
  let put = 0;
  const putting = (async () => {
    for (; put < 200; put += 1) await events.put(healed);
    events.close();
  })();
  await new Promise((resolve) => setImmediate(resolve));
  expect(put).toBe(64);
  expect(await Array.fromAsync(events)).toHaveLength(200);
  await putting;
});

test("lets nobody wait after an abort", async () => {
  const stop = new AbortController();
  const events = openEvents(stop);
  const puts = Array.from({ length: 70 }, () => events.put(healed));
  stop.abort(new Error("enough"));
  const ends = await Promise.allSettled(puts);
  expect(ends.filter(({ status }) => status === "rejected")).toHaveLength(6);
  await expect(events.put(healed)).rejects.toThrow("enough");
});

function blobEvent(digest: Digest): CopyEvent {
  const descriptor = { mediaType: "application/octet-stream", digest, size: 1 };
  return { kind: "blob", descriptor, how: "pushed", bytes: 1 };
}

function bytesOf(events: readonly CopyEvent[]): number {
  return events.reduce((sum, event) => sum + (event.kind === "bytes" ? event.bytes : 0), 0);
}
