import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { pino } from "pino";
import { expect, test } from "vitest";

import { type Layout, openLayout } from "../../src/layout/layout.ts";
import { inProcessLease } from "../../src/limits/in-process-lease.ts";
import { inProcessRateLimit } from "../../src/limits/in-process-rate-limit.ts";
import { openRegistry, type Registry, type RegistryOptions } from "../../src/registry/registry.ts";
import { copied, failureOfCopy } from "../support/copying.ts";
import {
  allBlobs,
  allManifests,
  buildImage,
  buildIndex,
  buildNestedIndex,
  buildSbom,
  cosignTag,
  pushTo,
  signCosign,
  withReferrers,
} from "../support/images/images.ts";
import type { BuiltImage } from "../support/images/manifest.ts";
import { type Behaviour, DOCKER_REGISTRY } from "../support/registry/behaviour.ts";
import {
  corruptBody,
  doing,
  header,
  longBody,
  normally,
  registryError,
  shortBody,
  status,
} from "../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import type { Fault } from "../support/registry/rules.ts";

const SIZE = 300_000;

const SHAPES: readonly (readonly [string, BuiltImage])[] = [
  ["an image", buildImage()],
  ["a Docker image with odd white space", buildImage({ docker: true, oddWhitespace: true })],
  ["an index with attestations", buildIndex({ layers: 1, attestations: true })],
  ["a nested index", buildNestedIndex()],
  ["a signed image with an SBOM", signCosign(withReferrers(buildImage(), buildSbom(buildImage())))],
];

test.for(SHAPES)(
  "copies %s from registry to registry, to a layout, and from there back",
  async ([, image]) => {
    await using setting = await open();
    const { from, to, layout, source, target } = setting;
    await pushTo(from, "team/app", image, "v1");
    const { digest } = image.manifest;
    const options = { tag: "v1", referrers: true };
    await copied(digest, source, target, options);
    await copied(digest, source, layout, options);
    await copied(digest, layout, setting.client(to).repository("back"), options);
    for (const repository of ["mirror/app", "back"]) {
      expect(to.digestOf(repository, "v1")).toBe(digest);
      for (const manifest of allManifests(image)) expect(to.missing(repository, manifest.digest)).toEqual([]);
    }
  },
);

test("sends what a target needs: blobs, children by digest, the tag last", async () => {
  await using setting = await open();
  const { from, to, source, target } = setting;
  const image = buildIndex({ layers: 2 });
  await pushTo(from, "team/app", image, "v1");
  to.before(({ method, kind, reference }) => {
    if (method !== "PUT" || kind !== "manifest" || reference !== "v1") return;
    expect(image.children.flatMap(({ manifest }) => to.missing("mirror/app", manifest.digest))).toEqual([]);
  });
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  const writes = to.ledger.find({ kind: "manifest", method: "PUT" });
  expect(writes.map(({ status: code }) => code)).toEqual(Array.from({ length: 6 }, () => 201));
  expect(writes.at(-1)?.reference).toBe("v1");
  expect(from.ledger.count({ method: "GET", kind: "blob" })).toBe(allBlobs(image).size);
  expect(from.ledger.count({ method: "GET", kind: "manifest" })).toBe(allManifests(image).length);
});

test("publishes five tags of one image at once by one write each", async () => {
  await using setting = await open();
  const { from, to, source, target } = setting;
  const image = buildIndex({ layers: 2 });
  await pushTo(from, "team/app", image, "v1");
  const lease = inProcessLease();
  const tags = ["1", "1.2", "1.2.3", "latest", "stable"];
  await Promise.all(tags.map((tag) => copied(image.manifest.digest, source, target, { tag, lease })));
  for (const tag of tags) expect(to.digestOf("mirror/app", tag)).toBe(image.manifest.digest);
  expect(to.ledger.count({ method: "POST", kind: "upload" })).toBe(allBlobs(image).size);
  expect(to.ledger.count({ method: "PUT", kind: "manifest" })).toBe(image.children.length + tags.length);
  expect(from.ledger.count({ method: "GET", kind: "blob" })).toBe(allBlobs(image).size);
});

/** Faults in the bytes of a blob, and the result when they occur every time. */
const BROKEN: readonly (readonly [string, Fault, string])[] = [
  ["one wrong byte", corruptBody(), "DIGEST_MISMATCH"],
  ["a body that is empty and well-formed (chunked)", shortBody(0, { framing: "chunked" }), "BLOB_SHORT"],
  ["a body that ends with the connection before it began", shortBody(0, { framing: "close" }), "BLOB_SHORT"],
  ["a body that is too long", longBody(1000), "BLOB_LONG"],
  ["404 although the manifest names it", registryError(404, "BLOB_UNKNOWN"), "SOURCE_BROKEN"],
];

test.for(BROKEN)("never publishes what came as %s", { timeout: 20_000 }, async ([, fault, code]) => {
  await using setting = await open();
  const { from, to, source, target } = setting;
  const image = buildImage({ layers: [SIZE] });
  await pushTo(from, "team/app", image, "v1");
  const [, layer = ""] = image.blobs.keys();
  from.on({ method: "GET", kind: "blob", reference: layer, always: true }, fault);
  const copying = copied(image.manifest.digest, source, target, { tag: "v1" });
  expect((await failureOfCopy(copying)).code).toBe(code);
  expect(to.digestOf("mirror/app", "v1")).toBeUndefined();
  expect(to.ledger.count({ method: "PUT", kind: "manifest" })).toBe(0);
  expect([...to.store.blobs.keys()]).not.toContain(layer);
});

/** Temporary faults: the image is complete in the end. */
const PASSING: readonly (readonly [
  string,
  "from" | "to",
  Parameters<TestRegistry["on"]>[0],
  readonly Fault[],
])[] = [
  ["a corrupted blob", "from", { method: "GET", kind: "blob" }, [corruptBody()]],
  ["a blob cut off", "from", { method: "GET", kind: "blob", nth: 2 }, [shortBody(10)]],
  ["503 for a manifest", "from", { method: "GET", kind: "manifest" }, [status(503)]],
  [
    "429 at the source",
    "from",
    { method: "GET", kind: "blob" },
    [status(429, { headers: { "retry-after": "0" } })],
  ],
  ["503 for the tag", "to", { method: "PUT", kind: "manifest" }, [normally, status(503)]],
  ["a lost upload", "to", { method: "PUT", kind: "upload" }, [registryError(404, "BLOB_UPLOAD_UNKNOWN")]],
  ["no digest header", "to", { method: "HEAD", kind: "manifest" }, [header("docker-content-digest", null)]],
];

test.for(PASSING)("copies in spite of %s", async ([, side, match, faults]) => {
  await using setting = await open();
  const { from, to, source, target } = setting;
  const image = buildIndex({ layers: [SIZE] });
  await pushTo(from, "team/app", image, "v1");
  setting[side].on(match, ...faults);
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(to.digestOf("mirror/app", "v1")).toBe(image.manifest.digest);
  expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
});

test("sends a blob again that the target's garbage collection took, and only that", async () => {
  await using setting = await open();
  const { from, to, source, target } = setting;
  const image = buildImage({ layers: 3 });
  await pushTo(from, "team/app", image, "v1");
  const lost = [...image.blobs.keys()][1] ?? raise();
  to.on(
    { method: "PUT", kind: "manifest" },
    doing(() => to.deleteBlob("mirror/app", lost)),
  );
  const { events } = await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
  expect(events).toContainEqual({ kind: "healed", digests: [lost] });
  expect(to.ledger.count({ method: "PUT", kind: "upload" })).toBe(image.blobs.size + 1);
});

test("publishes the digest that was resolved, wherever the tag moves meanwhile", async () => {
  const [before, after] = [buildImage({ seed: "before" }), buildImage({ seed: "after" })];
  await using first = await open();
  await pushTo(first.from, "team/app", before, "v1");
  await copied(before.manifest.digest, first.source, first.target, { tag: "v1" });
  for (let nth = 1; nth <= first.from.ledger.count(); nth += 1) {
    await using setting = await open();
    const { from, to, source, target } = setting;
    await pushTo(from, "team/app", before, "v1");
    from.on(
      { nth },
      doing(() => pushTo(from, "team/app", after, "v1")),
    );
    await copied(before.manifest.digest, source, target, { tag: "v1" });
    expect(to.digestOf("mirror/app", "v1")).toBe(before.manifest.digest);
    expect(to.missing("mirror/app", before.manifest.digest)).toEqual([]);
  }
});

test("leaves no tag and no request under way when it is aborted in the middle of a blob", async () => {
  await using setting = await open();
  const { from, to, source, target } = setting;
  const image = buildImage({ layers: [SIZE] });
  await pushTo(from, "team/app", image, "v1");
  const stop = new AbortController();
  const held = to.gate({ method: "PUT", kind: "upload" });
  const copying = copied(image.manifest.digest, source, target, { tag: "v1", signal: stop.signal });
  const { request } = await held;
  stop.abort(new Error("enough"));
  await expect(copying).rejects.toThrow("enough");
  await aborted(request.gone);
  expect(to.digestOf("mirror/app", "v1")).toBeUndefined();
  expect(to.ledger.count({ method: "PUT", kind: "manifest" })).toBe(0);
});

test("does not wait for itself when source and target are one registry", async () => {
  await using setting = await open({ connections: 2, behaviour: { mount: "never" } });
  const { from } = setting;
  const image = buildImage({ layers: Array.from({ length: 6 }, () => SIZE) });
  await pushTo(from, "team/app", image, "v1");
  const client = setting.client(from);
  await copied(image.manifest.digest, client.repository("team/app"), client.repository("other/app"), {
    tag: "v1",
  });
  expect(from.missing("other/app", image.manifest.digest)).toEqual([]);
});

test("mounts everything between two repositories of one registry, and reads no blob", async () => {
  await using setting = await open();
  const { from } = setting;
  const image = buildIndex({ layers: 2 });
  await pushTo(from, "team/app", image, "v1");
  const client = setting.client(from);
  const { summary } = await copied(
    image.manifest.digest,
    client.repository("team/app"),
    client.repository("other/app"),
    { tag: "v1" },
  );
  expect(from.missing("other/app", image.manifest.digest)).toEqual([]);
  expect(summary).toMatchObject({ bytes: 0, blobs: { pushed: 0, mounted: allBlobs(image).size } });
  expect(from.ledger.count({ method: "GET", kind: "blob" })).toBe(0);
  expect(from.ledger.count({ method: "POST", kind: "upload" })).toBe(allBlobs(image).size);
});

test("mounts in a second repository what it sent to the first", async () => {
  await using setting = await open();
  const { from, to, source } = setting;
  const image = buildImage({ layers: 4 });
  await pushTo(from, "team/app", image, "v1");
  const client = setting.client(to);
  await copied(image.manifest.digest, source, client.repository("one"), { tag: "v1" });
  const { summary } = await copied(image.manifest.digest, source, client.repository("two"), { tag: "v1" });
  expect(summary).toMatchObject({ bytes: 0, blobs: { pushed: 0, mounted: 5, present: 0 } });
  expect(to.missing("two", image.manifest.digest)).toEqual([]);
});

test("mounts between projects that are logged in to with credentials of their own", async () => {
  await using setting = await open();
  const { from, to, source } = setting;
  const image = buildImage({ layers: 4 });
  await pushTo(from, "team/app", image, "v1");
  const lease = inProcessLease();
  const [one, two] = [setting.client(to).repository("one/app"), setting.client(to).repository("two/app")];
  await copied(image.manifest.digest, source, one, { tag: "v1", lease });
  const { summary } = await copied(image.manifest.digest, source, two, { tag: "v1", lease });
  expect(summary).toMatchObject({ bytes: 0, blobs: { pushed: 0, mounted: 5 } });
  expect(to.missing("two/app", image.manifest.digest)).toEqual([]);
});

test("carries signatures to a registry without referrers API, under the fallback tag", async () => {
  await using setting = await open({ behaviour: DOCKER_REGISTRY });
  const { from, to, source, target } = setting;
  const plain = buildImage();
  const image = signCosign(withReferrers(plain, buildSbom(plain)));
  await pushTo(from, "team/app", image, "v1", { fallbackTags: true });
  const { summary } = await copied(plain.manifest.digest, source, target, { tag: "v1", referrers: true });
  expect(summary).toMatchObject({ referrers: 2, notCarried: 0 });
  const tags = [plain.manifest.digest.replace(":", "-"), cosignTag(plain.manifest.digest), "v1"];
  for (const tag of tags) expect(to.digestOf("mirror/app", tag)).toBeDefined();
});

test("follows a source that sends its blobs elsewhere", async () => {
  await using setting = await open({ behaviour: { redirectBlobs: 307 } });
  const { from, to, source, target } = setting;
  const image = buildImage();
  await pushTo(from, "team/app", image, "v1");
  await copied(image.manifest.digest, source, target, { tag: "v1" });
  expect(to.missing("mirror/app", image.manifest.digest)).toEqual([]);
});

type Setting = AsyncDisposable & {
  readonly from: TestRegistry;
  readonly to: TestRegistry;
  readonly source: ReturnType<Registry["repository"]>;
  readonly target: ReturnType<Registry["repository"]>;
  readonly layout: Layout;
  client(server: TestRegistry): Registry;
};

type SettingOptions = {
  readonly behaviour?: Partial<Behaviour>;
  readonly connections?: number;
};

/** Two registries, a layout, and clients that retry quickly. */
async function open({ behaviour, connections = 8 }: SettingOptions = {}): Promise<Setting> {
  const stack = new AsyncDisposableStack();
  const servers = behaviour ? { behaviour } : {};
  const from = stack.use(await startRegistry(servers));
  const to = stack.use(await startRegistry(servers));
  const directory = await mkdtemp(join(tmpdir(), "tagferry-copy-"));
  stack.defer(() => rm(directory, { recursive: true }));
  const layout = stack.use(await openLayout(join(directory, "layout"), { create: true }));
  const client = (server: TestRegistry): Registry => stack.use(openRegistry(optionsOf(server, connections)));
  return {
    from,
    to,
    layout,
    client,
    source: client(from).repository("team/app"),
    target: client(to).repository("mirror/app"),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function optionsOf({ host }: TestRegistry, connections: number): RegistryOptions {
  return {
    registry: host,
    kind: "auto",
    insecure: false,
    plainHttp: true,
    tokenRealms: [],
    credentials: async () => undefined,
    rateLimit: inProcessRateLimit(() => ({ connections })),
    proxy: () => undefined,
    log: pino({ level: "silent" }),
    retry: { attempts: 3, baseMs: 1, capMs: 1 },
    timeouts: { resumePauseMs: 1 },
  };
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve, { once: true });
  });
}

function raise(): never {
  throw new Error("the test's image is not what the test thinks");
}
