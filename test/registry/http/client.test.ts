import { describe, expect, test } from "vitest";

import { inProcessRateLimit } from "../../../src/limits/in-process-rate-limit.ts";
import type { RateLimit } from "../../../src/oci/rate-limit.ts";
import type { RegistryRepository } from "../../../src/registry/repository.ts";
import { seededBytes } from "../../support/images/content.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { describing, reusing } from "../../support/port.ts";
import { registryClient } from "../../support/registry/client.ts";
import { normally, rateLimited, status } from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";
import type { Fault } from "../../support/registry/rules.ts";

const REPOSITORY = "library/app";
const BYTES = seededBytes("quiet", 1_000);
const BLOB = describing(BYTES);
const TAGS = ["1", "2", "3", "4", "5", "6", "7", "8"];

async function withTags(): Promise<TestRegistry> {
  const registry = await startRegistry();
  for (const tag of TAGS) await pushTo(registry, REPOSITORY, buildImage({ seed: tag, layers: 1 }), tag);
  return registry;
}

describe("a registry that asks for quiet", () => {
  const inASecond = rateLimited(1);

  test("is sent nothing for as long as it says, by any of eight requests but those under way", async () => {
    await using registry = await withTags();
    registry.on({ kind: "manifest" }, inASecond);
    await using client = registryClient(registry.host, {
      rateLimit: inProcessRateLimit(() => ({ connections: 2 })),
    });
    const repository = client.repository(REPOSITORY);
    const found = await Promise.all(TAGS.map((tag) => repository.resolve(tag)));
    expect(found.every((one) => one !== undefined)).toBe(true);
    const [refused, underWay, ...later] = registry.ledger.entries;
    expect(later).toHaveLength(TAGS.length - 1);
    expect((underWay?.at ?? Infinity) - (refused?.at ?? 0)).toBeLessThan(500);
    for (const { at } of later) expect(at - (refused?.endedAt ?? 0)).toBeGreaterThanOrEqual(990);
    expect(registry.ledger.count({ status: 429 })).toBe(1);
  });

  test("is left alone by what comes to it through another client of the same host", async () => {
    await using registry = await withTags();
    registry.on({ kind: "manifest", reference: "1" }, inASecond);
    const rateLimit = inProcessRateLimit(() => ({ connections: 4 }));
    const paused = Promise.withResolvers<void>();
    const pauseUntil: RateLimit["pauseUntil"] = (...of) => {
      rateLimit.pauseUntil(...of);
      paused.resolve();
    };
    await using client = registryClient(registry.host, { rateLimit: { ...rateLimit, pauseUntil } });
    await using other = registryClient(registry.host, { rateLimit });
    const first = client.repository(REPOSITORY).resolve("1");
    await paused.promise;
    await Promise.all([first, other.repository(REPOSITORY).resolve("2"), other.ping()]);
    const [complaint, ...later] = registry.ledger.entries;
    expect(later).toHaveLength(3);
    for (const { at } of later) expect(at - (complaint?.endedAt ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test("is left alone for longer each time when it does not say for how long", async () => {
    await using registry = await withTags();
    registry.on({ kind: "manifest" }, rateLimited(), rateLimited(), rateLimited());
    await using client = registryClient(registry.host, {
      rateLimit: inProcessRateLimit(() => ({ connections: 1 })),
      retry: { attempts: 5, baseMs: 40, capMs: 1_000 },
    });
    const repository = client.repository(REPOSITORY);
    await Promise.all([repository.resolve("1"), repository.resolve("2")]);
    const arrivals = registry.ledger.entries.map(({ at }) => at);
    const pauses = arrivals.slice(1, 4).map((at, index) => at - (arrivals[index] ?? 0));
    expect(arrivals).toHaveLength(5);
    for (const [index, pauseMs] of pauses.entries()) expect(pauseMs).toBeGreaterThanOrEqual(38 * 2 ** index);
  });

  test("for ten hours fails all that is asked of it, with the time, and hears none of it", async () => {
    await using registry = await withTags();
    registry.on({ kind: "manifest" }, rateLimited(36_000), normally);
    await using client = registryClient(registry.host);
    const repository = client.repository(REPOSITORY);
    for (const tag of TAGS)
      await expect(repository.resolve(tag)).rejects.toMatchObject({
        code: "RATE_LIMITED",
        details: { retryAt: expect.stringMatching(/^\d{4}-/) },
      });
    expect(registry.ledger.count()).toBe(1);
  });

  test("is not paused because its storage, on another host, complains", async () => {
    await using storage = await startRegistry();
    const complaining: Fault = status(429, { headers: { "retry-after": "1000" } });
    storage.on({ always: true }, complaining);
    await using registry = await withTags();
    const { blobs } = await pushTo(registry, REPOSITORY, buildImage({ seed: "blob", layers: 1 }), "9");
    registry.on(
      { kind: "blob", always: true },
      status(307, { headers: { location: `${storage.url}/signed` } }),
    );
    await using client = registryClient(registry.host);
    const repository = client.repository(REPOSITORY);
    const [[digest, bytes] = []] = blobs;
    if (digest === undefined || bytes === undefined) throw new Error("an image has blobs");
    const descriptor = { digest, size: bytes.length, mediaType: "application/octet-stream" };
    await expect(Array.fromAsync(repository.blob(descriptor))).rejects.toMatchObject({
      code: "RATE_LIMITED",
    });
    expect(await repository.resolve("1")).toBeDefined();
  });
});

describe("a registry that has no time now and says when it has", () => {
  const ROUTE = "Application is not available";
  const unavailable = (seconds: number): Fault =>
    status(503, { headers: { "retry-after": String(seconds) }, body: ROUTE });

  test("is asked again no sooner, by the request that it refused and by no other", async () => {
    await using registry = await withTags();
    registry.on({ kind: "manifest", reference: "1" }, unavailable(1));
    await using client = registryClient(registry.host);
    const repository = client.repository(REPOSITORY);
    const first = repository.resolve("1");
    expect(await repository.resolve("2")).toBeDefined();
    expect(await first).toBeDefined();
    const [refused, served, ...more] = registry.ledger.find({ reference: "1" });
    const [other] = registry.ledger.find({ reference: "2" });
    expect(more).toEqual([]);
    expect((served?.at ?? 0) - (refused?.at ?? 0)).toBeGreaterThanOrEqual(990);
    expect((other?.at ?? Infinity) - (refused?.at ?? 0)).toBeLessThan(900);
  });

  test.for([
    ["a manifest", (client: RegistryRepository) => client.manifest("1")],
    ["a blob", (client: RegistryRepository) => Array.fromAsync(client.blob(BLOB))],
    ["a blob's place", (client: RegistryRepository) => client.pushBlob(BLOB, () => reusing(BYTES, 64))],
  ] as const)("for ten hours fails %s with the time, and is asked once", async ([, ask]) => {
    await using registry = await withTags();
    // after a refused mount, the request is repeated without the mount
    registry.on({ always: true }, unavailable(36_000));
    await using client = registryClient(registry.host, { kind: "harbor" });
    await expect(ask(client.repository(REPOSITORY))).rejects.toMatchObject({
      code: "REGISTRY_UNAVAILABLE",
      details: { retryAt: expect.stringMatching(/^\d{4}-/) },
    });
    expect(registry.ledger.count()).toBe(1);
  });
});
