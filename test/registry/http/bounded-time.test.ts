import { setTimeout as delay } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { isTagferryError } from "../../../src/errors/error.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { parseManifest } from "../../../src/oci/manifest.ts";
import { openBreakers } from "../../../src/registry/http/breakers.ts";
import type { RegistryTimeouts } from "../../../src/registry/registry.ts";
import type { RegistryRepository } from "../../../src/registry/repository.ts";
import { seededBytes } from "../../support/images/content.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { loggedIn, registryClient, SILENT } from "../../support/registry/client.ts";
import { drip, stall } from "../../support/registry/connection-faults.ts";
import { longBody, status, together } from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";
import type { Fault, RuleMatch } from "../../support/registry/rules.ts";
import { untilGone } from "../../support/registry/wire.ts";

/*
 * How long each kind of request may take until it fails. A minute of the defaults is 1.5 s here, and the time to the first
 * byte is shorter still, because the client's timers are only exact to half a second.
 */
const MINUTE_MS = 1_500;
const timeouts: Partial<RegistryTimeouts> = {
  firstByteMs: 200,
  requestMs: MINUTE_MS,
  idleMs: MINUTE_MS,
  floorWindowMs: MINUTE_MS,
  retriesMs: 2 * MINUTE_MS,
};
/** A busy machine is late. What multiplies the time, or never ends, takes longer than this. */
const LATE_MS = 15_000;

const REPOSITORY = "library/app";
const blobBytes = seededBytes("blob", 100_000);
const blob = { mediaType: "application/octet-stream", digest: digestOf(blobBytes), size: blobBytes.length };
const image = buildImage({ seed: "bounded", layers: [2_000] });
const manifest = parseManifest(image.manifest.bytes, {
  contentType: image.manifest.mediaType,
  subject: "the test",
});

async function* content(): AsyncGenerator<Uint8Array, void, void> {
  yield blobBytes;
}

type Kind = {
  readonly kind: string;
  readonly match: RuleMatch;
  readonly ask: (repository: RegistryRepository) => Promise<unknown>;
};

const whole = (body: AsyncIterable<unknown>): Promise<unknown> => Array.fromAsync(body);
const push = (repository: RegistryRepository): Promise<unknown> => repository.pushBlob(blob, () => content());

const READ: readonly Kind[] = [
  {
    kind: "GET of a manifest",
    match: { method: "GET", kind: "manifest" },
    ask: (repository) => repository.manifest("1"),
  },
  { kind: "a listing", match: { kind: "tags" }, ask: (repository) => whole(repository.listing()) },
  {
    kind: "referrers",
    match: { kind: "referrers" },
    ask: (repository) => whole(repository.referrers(image.manifest.digest)),
  },
  {
    kind: "GET of a blob",
    match: { method: "GET", kind: "blob" },
    ask: (repository) => whole(repository.blob(blob)),
  },
];
const WITHOUT_BODY: readonly Kind[] = [
  {
    kind: "HEAD of a manifest",
    match: { method: "HEAD", kind: "manifest" },
    ask: (repository) => repository.resolve("1"),
  },
  {
    kind: "HEAD of a blob",
    match: { method: "HEAD", kind: "blob" },
    ask: (repository) => repository.hasBlob(blob),
  },
];
const WRITE: readonly Kind[] = [
  {
    kind: "PUT of a manifest",
    match: { method: "PUT", kind: "manifest" },
    ask: (repository) => repository.pushManifest(manifest, { tag: "new" }),
  },
  { kind: "POST of an upload", match: { method: "POST" }, ask: push },
  { kind: "PUT of a small blob", match: { method: "PUT", kind: "upload" }, ask: push },
];

async function withImage(): Promise<TestRegistry> {
  const registry = await startRegistry();
  await pushTo(registry, REPOSITORY, image, "1");
  return registry;
}

/** Never acts, never answers. */
const silence: Fault = () => ({ status: 0, headers: {}, send: async ({ gone }) => untilGone(gone) });
/** A head that promises a body, short enough to be read to its end for the sake of the connection. */
const promising = longBody(20_000);
const slowly = drip({ bytes: 1, intervalMs: MINUTE_MS / 60 });

type Row = readonly [kind: string, code: unknown, requests: number];

/** Asks a registry with this fault, and tells how it failed and after how many requests. */
async function failing({ kind, match, ask }: Kind, fault: Fault): Promise<Row> {
  await using registry = await withImage();
  if (kind === "GET of a blob") registry.putBlob(REPOSITORY, blobBytes);
  registry.on({ ...match, always: true }, fault);
  await using client = registryClient(registry.host, {
    timeouts,
    retry: { attempts: 5, baseMs: 1, capMs: 1 },
  });
  const failed = ask(client.repository(REPOSITORY)).then(
    () => "no error",
    (error: unknown) => (isTagferryError(error) ? error.code : error),
  );
  const inTime = delay(3 * MINUTE_MS + LATE_MS, "it did not end", { ref: false });
  return [kind, await Promise.race([failed, inTime]), registry.ledger.count(match)];
}

const failingAll = (kinds: readonly Kind[], fault: Fault): Promise<readonly Row[]> =>
  Promise.all(kinds.map((kind) => failing(kind, fault)));

describe("a request ends in one or two minutes", () => {
  test("when it is never answered: after two waits for a first byte, or one that is twice as long", async () => {
    expect(await failingAll([...READ, ...WITHOUT_BODY, ...WRITE], silence)).toEqual([
      ["GET of a manifest", "STALLED", 2],
      ["a listing", "STALLED", 1],
      ["referrers", "STALLED", 2],
      ["GET of a blob", "STALLED", 2],
      ["HEAD of a manifest", "STALLED", 2],
      ["HEAD of a blob", "STALLED", 2],
      ["PUT of a manifest", "STALLED", 1],
      ["POST of an upload", "STALLED", 2],
      ["PUT of a small blob", "STALLED", 2],
    ]);
  });

  test.for([
    ["a head and never a body", stall({ afterBytes: 0 })],
    ["a head and a byte a second", slowly],
  ] as const)(
    "when the answer is %s: a blob after two such bodies, all else after one",
    async ([, fault]) => {
      expect(await failingAll(READ, together(fault, promising))).toEqual([
        ["GET of a manifest", "STALLED", 1],
        ["a listing", "STALLED", 1],
        ["referrers", "STALLED", 1],
        ["GET of a blob", "STALLED", 2],
      ]);
    },
  );

  test.for([
    ["never comes", stall({ afterBytes: 0 })],
    ["comes a byte a second", slowly],
  ] as const)("and waits for no body that nobody needs, when it %s", async ([, fault]) => {
    expect(await failingAll(WRITE, together(fault, promising))).toEqual([
      ["PUT of a manifest", "no error", 1],
      ["POST of an upload", "no error", 1],
      ["PUT of a small blob", "no error", 1],
    ]);
    const refusing = together(fault, promising, status(403));
    const all = [...READ, ...WRITE];
    expect(await failingAll(all, refusing)).toEqual(all.map(({ kind }) => [kind, "DENIED", 1]));
  });
});

test("after two minutes of nothing but 429, each question is asked once, until an answer comes", async () => {
  await using registry = await withImage();
  registry.on({ kind: "manifest", always: true }, status(429));
  await using client = registryClient(registry.host, {
    timeouts: { ...timeouts, retriesMs: 200 },
    retry: { attempts: 1_000, baseMs: 20, capMs: 20 },
  });
  const repository = client.repository(REPOSITORY);
  const asked = async (tag: string): Promise<number> => {
    const before = registry.ledger.count({ kind: "manifest" });
    await expect(repository.resolve(tag)).rejects.toMatchObject({ code: "RATE_LIMITED" });
    return registry.ledger.count({ kind: "manifest" }) - before;
  };
  expect(await asked("1")).toBeGreaterThan(1);
  await delay(200);
  expect(await asked("1")).toBe(1);
  await delay(30); // the pause
  expect(await asked("2")).toBe(1);
  await delay(30);
  await Array.fromAsync(repository.listing());
  expect(await asked("1")).toBeGreaterThan(1);
});

test("while the pause lasts, each question then fails at once, with the time of the next one", async () => {
  await using registry = await withImage();
  registry.on({ kind: "manifest", always: true }, status(429));
  await using client = registryClient(registry.host, {
    timeouts: { ...timeouts, retriesMs: 50 },
    retry: { attempts: 2, baseMs: 60_000, capMs: 60_000 },
  });
  const repository = client.repository(REPOSITORY);
  const limited = { code: "RATE_LIMITED", details: { retryAt: expect.stringMatching(/^\d{4}-/) } };
  await expect(repository.resolve("1")).rejects.toMatchObject({ code: "RATE_LIMITED" });
  await delay(60);
  await expect(repository.resolve("1")).rejects.toMatchObject(limited);
  await expect(Array.fromAsync(repository.listing())).rejects.toMatchObject(limited);
  expect(registry.ledger.count({ kind: "manifest" })).toBe(1);
  expect(registry.ledger.count({ kind: "tags" })).toBe(0);
});

describe("a token server", () => {
  const auth = { kind: "bearer", username: "user", password: "secret" } as const;
  const policy = { failures: 5, silentMs: 100, restMs: 60_000, restMaxMs: 60_000 };
  const token = { kind: "token" } as const;

  async function protectedRegistry(): Promise<TestRegistry> {
    const registry = await startRegistry({ auth });
    await pushTo(registry, REPOSITORY, image, "1");
    return registry;
  }

  test.for([
    ["never answers", stall()],
    ["sends a head and never a body", stall({ afterBytes: 0 })],
    ["sends a byte a second", together(slowly, promising)],
  ] as const)("that %s is asked twice, and then fails at once for all who need it", async ([, fault]) => {
    await using registry = await protectedRegistry();
    registry.on({ ...token, always: true }, fault);
    const breakers = openBreakers({ log: SILENT, policy });
    const options = { timeouts, breakers, credentials: loggedIn("user", "secret") };
    await using client = registryClient(registry.host, options);
    await expect(client.repository(REPOSITORY).resolve("1")).rejects.toMatchObject({ code: "STALLED" });
    expect(registry.ledger.count(token)).toBe(2);
    await using other = registryClient(registry.host, options);
    await expect(other.repository("another/app").resolve("1")).rejects.toMatchObject({
      code: "REGISTRY_UNRESPONSIVE",
      message: expect.stringContaining("the token server 127.0.0.1:"),
    });
    expect(registry.ledger.count(token)).toBe(2);
    expect(breakers.state(registry.host)).toMatchObject({ retryAt: expect.any(Date) });
  });

  test("is asked by one request at a time after its rest, and by all when it answers", async () => {
    await using registry = await protectedRegistry();
    registry.on(token, stall(), stall());
    const breakers = openBreakers({ log: SILENT, policy: { ...policy, restMs: 0, restMaxMs: 0 } });
    await using client = registryClient(registry.host, {
      timeouts,
      breakers,
      credentials: loggedIn("user", "secret"),
    });
    await expect(client.repository("a/a").resolve("1")).rejects.toMatchObject({ code: "STALLED" });
    const probe = registry.gate(token);
    const first = client.repository(REPOSITORY).resolve("1");
    const held = await probe;
    await expect(client.repository("b/b").resolve("1")).rejects.toMatchObject({
      code: "REGISTRY_UNRESPONSIVE",
    });
    held.release();
    expect(await first).toBeDefined();
    expect(await client.repository("b/b").resolve("1")).toBeUndefined();
    expect(breakers.state(registry.host)).toBeUndefined();
  });

  test("that is silent stops no other registry", async () => {
    await using registry = await protectedRegistry();
    await using other = await withImage();
    registry.on({ ...token, always: true }, stall());
    const breakers = openBreakers({ log: SILENT, policy });
    await using client = registryClient(registry.host, {
      timeouts,
      breakers,
      credentials: loggedIn("user", "x"),
    });
    await using healthy = registryClient(other.host, { timeouts, breakers });
    const dead = client
      .repository(REPOSITORY)
      .resolve("1")
      .catch((error: unknown) => error);
    for (let time = 0; time < 20; time += 1)
      expect(await healthy.repository(REPOSITORY).resolve("1")).toBeDefined();
    expect(await dead).toMatchObject({ code: "STALLED" });
  });
});
