import { pino } from "pino";
import { expect, test } from "vitest";

import type { CopyOptions } from "../../src/copy/copy.ts";
import { inProcessRateLimit } from "../../src/limits/in-process-rate-limit.ts";
import type { ImageTarget } from "../../src/oci/store.ts";
import { openRegistry } from "../../src/registry/registry.ts";
import { startCluster, type TestCluster } from "../support/cluster/cluster.ts";
import { copied, failureOfCopy } from "../support/copying.ts";
import {
  allBlobs,
  buildImage,
  buildIndex,
  buildSbom,
  cosignTag,
  pushTo,
  signCosign,
  withReferrers,
} from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { type MemoryStore, memoryStore } from "../support/memory-store.ts";
import { altered, html, registryError } from "../support/registry/faults.ts";
import { startRegistry } from "../support/registry/registry.ts";
import type { Fault } from "../support/registry/rules.ts";

test("copies a signed index into a stream, children first, signature second, tag last", async () => {
  await using setting = await open();
  const plain = buildIndex({ layers: 1, attestations: true });
  const image = signCosign(withReferrers(plain, buildSbom(plain)));
  const { summary } = await setting.copy(image, { tag: "v1", referrers: true });
  expect(summary).toMatchObject({ referrers: 1, notCarried: 1 });
  const { cluster } = setting;
  const stream = cluster.stream("mirror", "app");
  const tags = new Map(stream?.status.tags?.map(({ tag, items }) => [tag, items?.[0]?.image]));
  expect(tags.get("v1")).toBe(plain.manifest.digest);
  expect(tags.get(cosignTag(plain.manifest.digest))).toBe(image.referrers.at(-1)?.image.manifest.digest);
  const writes = cluster.registryLedger.find({ method: "PUT", kind: "manifest" });
  expect(writes.slice(-2).map(({ reference }) => reference)).toEqual([
    cosignTag(plain.manifest.digest),
    "v1",
  ]);
  expect(cluster.registry.missing("mirror/app", plain.manifest.digest)).toEqual([]);
});

test("rolls a workload once for one published image, and not again for the same", async () => {
  await using setting = await open();
  const { cluster } = setting;
  await setting.copy(buildIndex({ seed: "old", layers: 1 }), { tag: "v1" });
  cluster.subscribe("mirror", "app", "v1");
  const image = signCosign(buildIndex({ seed: "new", layers: 1 }));
  await setting.copy(image, { tag: "v1", referrers: true });
  await setting.copy(image, { tag: "v1", referrers: true });
  expect(cluster.fires.map(({ to }) => to.endsWith(image.manifest.digest))).toEqual([true]);
});

test("writes nothing again for an image that is in place with its signature", async () => {
  await using setting = await open();
  const { cluster } = setting;
  const image = signCosign(buildIndex({ layers: 1 }));
  await setting.copy(image, { tag: "v1", referrers: true });
  cluster.registryLedger.clear();
  const { summary } = await setting.copy(image, { tag: "v1", referrers: true });
  expect(summary).toMatchObject({ bytes: 0, manifests: 0, referrers: 1 });
  expect(cluster.registryLedger.count({ method: "PUT" })).toBe(0);
});

test("brings the bytes although the registry finds them elsewhere by itself", async () => {
  const image = buildImage({ layers: 3 });
  await using upstream = await startRegistry();
  await pushTo(upstream, "team/app", image, "v1");
  await using setting = await open({ upstreams: { "quay.io": upstream.url } });
  const { cluster } = setting;
  cluster.seedStream("mirror", "app", {
    tags: {
      imported: {
        from: "quay.io/team/app:v1",
        history: [{ image: image.manifest.digest, reference: `quay.io/team/app@${image.manifest.digest}` }],
      },
    },
  });
  await setting.copy(image, { tag: "v1" });
  for (const digest of allBlobs(image).keys()) expect(cluster.registryStore.blobs.has(digest)).toBe(true);
  expect(cluster.registryLedger.count({ method: "PUT", kind: "upload" })).toBe(image.blobs.size);
});

test("does not take a child that cannot be seen for one that is missing", async () => {
  await using setting = await open();
  const image = buildIndex({ layers: 1 });
  await setting.copy(image, { tag: "v1", isTagMissing: true });
  await setting.copy(image, { tag: "v2", isTagMissing: true });
  expect(setting.cluster.registryLedger.count({ method: "HEAD", kind: "manifest" })).toBe(0);
  expect(setting.cluster.registryLedger.count({ method: "PUT", kind: "upload" })).toBe(allBlobs(image).size);
});

test("refuses an index without platforms before the registry is asked anything", async () => {
  await using setting = await open();
  const image = buildIndex({ layers: 1, withoutPlatforms: true });
  const failure = await failureOfCopy(setting.copy(image, { tag: "v1" }));
  expect(failure.code).toBe("INDEX_PLATFORM");
  expect(setting.cluster.registryLedger.count()).toBe(0);
  expect(setting.cluster.stream("mirror", "app")).toBeUndefined();
});

const CLOSING = { method: "PUT", kind: "upload" } as const;
const TAGGING = { method: "PUT", kind: "manifest", reference: "v1" } as const;

test("does not send a blob again whose upload the gateway gave up on, when the registry has it", async () => {
  await using setting = await open();
  const { cluster } = setting;
  const image = buildImage({ layers: 1 });
  cluster.registry.on(
    CLOSING,
    altered(() => ({ status: 504, headers: {}, body: Buffer.from("Gateway Time-out") })),
  );
  await setting.copy(image, { tag: "v1" });
  expect(cluster.registryLedger.count({ ...CLOSING, status: 504 })).toBe(1);
  expect(cluster.registryLedger.count(CLOSING)).toBe(allBlobs(image).size);
  expect(cluster.registry.missing("mirror/app", image.manifest.digest)).toEqual([]);
});

test("leaves the tag alone when the gateway gives up and the registry does not have the blob", async () => {
  await using setting = await open();
  const { cluster } = setting;
  cluster.registry.on({ ...CLOSING, always: true }, html(504, "Gateway Time-out"));
  const failure = await failureOfCopy(setting.copy(buildImage({ layers: 1 }), { tag: "v1" }));
  expect(failure.code).toBe("OUTCOME_UNKNOWN");
  expect(cluster.stream("mirror", "app")).toBeUndefined();
});

test.for<readonly [string, string, Fault]>([
  ["a full project", "TARGET_QUOTA", registryError(403, "DENIED", { message: "exceeded quota: images" })],
  ["a right that is missing", "DENIED", registryError(403, "DENIED")],
  ["an immutable tag", "TARGET_IMMUTABLE", registryError(412, "PRECONDITION", { message: "immutable tag" })],
  ["a policy", "TARGET_REJECTED", registryError(412, "PRECONDITION", { message: "not signed" })],
  ["a project that is not there", "TARGET_PROJECT", registryError(404, "NAME_UNKNOWN")],
  ["a registry that takes no writes", "TARGET_READONLY", registryError(405, "UNSUPPORTED")],
  ["a manifest that is too large", "TARGET_TOO_LARGE", registryError(413, "SIZE_INVALID_HERE")],
])("takes the answer of %s for final, and names it %s", async ([, code, fault]) => {
  await using setting = await open();
  const { cluster } = setting;
  cluster.registry.on({ ...TAGGING, always: true }, fault);
  const failure = await failureOfCopy(setting.copy(buildImage({ layers: 1 }), { tag: "v1" }));
  expect(failure.code).toBe(code);
  expect(cluster.registryLedger.count(TAGGING)).toBe(1);
  expect(cluster.stream("mirror", "app")).toBeUndefined();
});

type Setting = AsyncDisposable & {
  readonly cluster: TestCluster;
  copy(image: BuiltImage, options: Partial<CopyOptions>): ReturnType<typeof copied>;
};

/** A cluster, and a source in memory that has whatever is copied from it. */
async function open(options: Parameters<typeof startCluster>[0] = {}): Promise<Setting> {
  const stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster(options));
  const source: MemoryStore = memoryStore({ name: "source/repository" });
  const registry = stack.use(
    openRegistry({
      registry: cluster.registryHost,
      kind: "openshift",
      insecure: false,
      plainHttp: true,
      tokenRealms: [],
      credentials: async () => ({ credential: { kind: "bearer", token: cluster.token }, from: "the test" }),
      rateLimit: inProcessRateLimit(() => ({ connections: 8 })),
      proxy: () => undefined,
      log: pino({ level: "silent" }),
      retry: { attempts: 2, baseMs: 1, capMs: 1 },
    }),
  );
  const target: ImageTarget = registry.repository("mirror/app");
  return {
    cluster,
    copy(image, copyOptions) {
      source.seed(image);
      return copied(image.manifest.digest, source, target, copyOptions);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
