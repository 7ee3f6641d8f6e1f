import { describe, expect, test } from "vitest";

import { copyImage } from "../../../src/copy/copy.ts";
import type { ErrorCode } from "../../../src/errors/codes.ts";
import { isTagferryError } from "../../../src/errors/error.ts";
import { inProcessLease } from "../../../src/limits/in-process-lease.ts";
import { type Digest, parseDigest } from "../../../src/oci/digest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../../src/oci/media-type.ts";
import type { Platform } from "../../../src/oci/platform.ts";
import { buildImage, buildIndex, buildIndexOf, pushTo } from "../../support/images/images.ts";
import { loggedIn, registryClient } from "../../support/registry/client.ts";
import { headerLines, lineFeedsOnly, reset, stall } from "../../support/registry/connection-faults.ts";
import {
  acceptsEverything,
  altered,
  contentEncoding,
  corruptBody,
  header,
  html,
  longBody,
  rateLimited,
  redirect,
  registryError,
  replaceBody,
  shortBody,
  status,
} from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";
import type { Fault, RuleMatch } from "../../support/registry/rules.ts";

const REPOSITORY = "library/app";
const blank = { config: { mediaType: "x/y", digest: `sha256:${"0".repeat(64)}`, size: 2 }, layers: [] };
const json = (value: unknown): string => JSON.stringify(value);

/** Copies the image under `1` from one registry to another, both on real sockets; returns the code of the failure. */
async function copyBetween(
  misbehave: (source: TestRegistry, target: TestRegistry) => void,
  { timeouts = {} }: { timeouts?: object } = {},
): Promise<{
  code: ErrorCode | "done";
  published: boolean;
  source: TestRegistry["ledger"];
  details: object;
}> {
  await using source = await startRegistry();
  await using target = await startRegistry();
  const image = await pushTo(source, REPOSITORY, buildImage({ seed: "responses", layers: [100_000] }), "1");
  await using from = registryClient(source.host, { timeouts });
  await using to = registryClient(target.host, { timeouts });
  misbehave(source, target);
  const finish = (code: ErrorCode | "done", details: object) => ({
    code,
    published: target.digestOf(REPOSITORY, "1") !== undefined,
    source: source.ledger,
    details,
  });
  try {
    const reading = from.repository(REPOSITORY);
    const found = await reading.resolve("1");
    const copying = copyImage(
      found ?? { digest: image.manifest.digest },
      reading,
      to.repository(REPOSITORY),
      { tag: "1", referrers: false, lease: inProcessLease() },
    );
    while (!(await copying.next()).done);
    return finish("done", {});
  } catch (error) {
    if (isTagferryError(error)) return finish(error.code, { ...error.details, message: error.message });
    throw error;
  }
}

type Row = {
  row: string;
  on: RuleMatch;
  fault: Fault;
  code: ErrorCode;
  at?: "source" | "target";
  timeouts?: object;
};
const get = (kind: "manifest" | "blob"): RuleMatch => ({ method: "GET", kind, always: true });

/** The rows of reliability D14-D60 that a copy meets: the answer of the registry, and the result. */
const ROWS: readonly Row[] = [
  {
    row: "D9 403 on the repository",
    on: { always: true },
    fault: registryError(403, "DENIED", { message: "no" }),
    code: "DENIED",
  },
  { row: "D14 an empty manifest", on: get("manifest"), fault: replaceBody(""), code: "MANIFEST_EMPTY" },
  {
    row: "D15 a login page for a manifest",
    on: get("manifest"),
    fault: html(200),
    code: "MANIFEST_NOT_JSON",
  },
  {
    row: "D16 a manifest of 9 MiB",
    on: get("manifest"),
    fault: replaceBody(`{"a":"${"x".repeat(9 * 1024 * 1024)}"}`),
    code: "MANIFEST_TOO_LARGE",
  },
  {
    row: "D17 a manifest nested 100 deep",
    on: get("manifest"),
    fault: replaceBody(`{"a":${"[".repeat(100)}${"]".repeat(100)}}`),
    code: "MANIFEST_DEPTH",
  },
  {
    row: "D18 a key twice",
    on: get("manifest"),
    fault: replaceBody('{"config":1,"config":2}'),
    code: "MANIFEST_DUPLICATE_KEY",
  },
  {
    row: "D19 a byte order mark",
    on: get("manifest"),
    fault: replaceBody("\ufeff{}"),
    code: "MANIFEST_ENCODING",
  },
  {
    row: "D33 other content than the digest's",
    on: get("manifest"),
    fault: replaceBody(json({ mediaType: OCI_MANIFEST, ...blank })),
    code: "DIGEST_MISMATCH",
  },
  { row: "D38 a blob that is longer", on: get("blob"), fault: longBody(10), code: "BLOB_LONG" },
  { row: "D39 a blob with wrong bytes", on: get("blob"), fault: corruptBody(), code: "DIGEST_MISMATCH" },
  {
    row: "D40 a blob that comes compressed",
    on: get("blob"),
    fault: contentEncoding("gzip"),
    code: "CONTENT_ENCODING",
  },
  { row: "D41 a blob of no bytes", on: get("blob"), fault: replaceBody(""), code: "BLOB_SHORT" },
  {
    row: "D43 a redirect without Location",
    on: get("blob"),
    fault: redirect(undefined),
    code: "REDIRECT_REFUSED",
  },
  {
    row: "D43 a redirect to a file",
    on: get("blob"),
    fault: redirect("file:///etc/passwd"),
    code: "REDIRECT_REFUSED",
  },
  {
    row: "D45 a blob that is gone",
    on: get("blob"),
    fault: registryError(404, "BLOB_UNKNOWN"),
    code: "SOURCE_BROKEN",
  },
  {
    row: "D46 a blob that stalls",
    on: get("blob"),
    fault: stall({ afterBytes: 0 }),
    code: "STALLED",
    timeouts: { idleMs: 200 },
  },
  {
    row: "D47 headers of 40 KiB",
    on: get("blob"),
    fault: header("x-long", "x".repeat(40_000)),
    code: "HTTP_PROTOCOL",
  },
  {
    row: "D48 a 429 in lines that end in LF",
    on: get("blob"),
    fault: lineFeedsOnly(429),
    code: "RATE_LIMITED",
  },
  { row: "D49 429 with ten hours", on: get("blob"), fault: rateLimited(36_000), code: "RATE_LIMITED" },
  { row: "D50 500 with a page", on: get("blob"), fault: html(500), code: "REGISTRY_UNAVAILABLE" },
  {
    row: "D51 an upload without Location",
    at: "target",
    on: { method: "POST", always: true },
    fault: header("location", null),
    code: "UPLOAD_LOCATION",
  },
  {
    row: "D51 an upload to another host",
    at: "target",
    on: { method: "POST", always: true },
    fault: header("location", "http://localhost:1/upload"),
    code: "UPLOAD_LOCATION",
  },
  {
    row: "D53 the closing PUT says DIGEST_INVALID",
    at: "target",
    on: { method: "PUT", kind: "upload", always: true },
    fault: registryError(400, "DIGEST_INVALID"),
    code: "TARGET_DIGEST",
  },
  {
    row: "D54 the session is always lost",
    at: "target",
    on: { method: "PUT", kind: "upload", always: true },
    fault: registryError(404, "BLOB_UPLOAD_UNKNOWN"),
    code: "UPLOAD",
  },
  {
    row: "D55 the manifest is rejected",
    at: "target",
    on: { method: "PUT", kind: "manifest", always: true },
    fault: registryError(400, "MANIFEST_INVALID", { message: "no such luck" }),
    code: "TARGET_REJECTED",
  },
  {
    row: "D57 everything is answered 200, with a page",
    at: "target",
    on: { always: true },
    fault: acceptsEverything,
    code: "TARGET_NOT_A_REGISTRY",
  },
  {
    row: "D57 a captive portal in the target's place",
    at: "target",
    on: { always: true },
    fault: html(200),
    code: "TARGET_NOT_A_REGISTRY",
  },
  {
    row: "D57 a captive portal in the source's place",
    on: { always: true },
    fault: html(200),
    code: "REGISTRY_NOT_V2",
  },
  {
    row: "D36 304 to a request that named no version",
    on: get("manifest"),
    fault: status(304),
    code: "HTTP_PROTOCOL",
  },
  {
    row: "D36 304 for a blob",
    on: get("blob"),
    fault: status(304),
    code: "HTTP_PROTOCOL",
  },
  {
    row: "D20 another type in the header than in the manifest",
    on: get("manifest"),
    fault: header("content-type", OCI_INDEX),
    code: "MEDIA_TYPE",
  },
  {
    row: "D20 a list of types in the header",
    on: get("manifest"),
    fault: header("content-type", `${OCI_MANIFEST}, ${OCI_INDEX}`),
    code: "MEDIA_TYPE",
  },
  {
    row: "D58 no quota",
    at: "target",
    on: { method: "PUT", always: true },
    fault: registryError(403, "DENIED", { message: "quota exceeded" }),
    code: "TARGET_QUOTA",
  },
  {
    row: "D58 read-only",
    at: "target",
    on: { method: "PUT", always: true },
    fault: registryError(405, "UNSUPPORTED"),
    code: "TARGET_READONLY",
  },
  {
    row: "D58 read-only, as Harbor says it",
    at: "target",
    on: { method: "POST", always: true },
    fault: registryError(403, "DENIED", { message: "The system is in read only mode" }),
    code: "TARGET_READONLY",
  },
  {
    row: "D58 no such project, as Harbor says it",
    at: "target",
    on: { method: "POST", always: true },
    fault: registryError(401, "UNAUTHORIZED", {
      message: "project nosuch not found: not found",
      headers: { "www-authenticate": "" },
    }),
    code: "TARGET_PROJECT",
  },
  {
    row: "D58 a policy that forbids the download, as Harbor says it",
    on: { method: "GET", kind: "manifest", always: true },
    fault: registryError(412, "PROJECTPOLICYVIOLATION", { message: "The image is not signed" }),
    code: "SOURCE_POLICY",
  },
  {
    row: "D58 an immutable tag",
    at: "target",
    on: { method: "PUT", kind: "manifest", always: true },
    fault: registryError(412, "PRECONDITION", { message: "tag is immutable" }),
    code: "TARGET_IMMUTABLE",
  },
];

describe("whatever a registry answers, nothing wrong is published", () => {
  test.for(ROWS)("$row: $code", async ({ on, fault, code, at = "source", timeouts = {} }) => {
    const ended = await copyBetween((source, target) => (at === "source" ? source : target).on(on, fault), {
      timeouts,
    });
    expect(ended).toMatchObject({ code, published: false });
  });

  test("D49 tells until when to wait", async () => {
    const { details } = await copyBetween((source) => source.on(get("blob"), rateLimited(36_000)));
    expect(details).toMatchObject({ retryAt: expect.stringMatching(/^\d{4}-/) });
  });

  test("D31 an index whose child is missing is broken at its source", async () => {
    await using source = await startRegistry({ behaviour: { sparseIndex: true, verifyReferences: false } });
    await using target = await startRegistry();
    const child = {
      mediaType: OCI_MANIFEST,
      digest: `sha256:${"a".repeat(64)}`,
      size: 100,
      platform: { os: "linux", architecture: "amd64" },
    };
    const digest = source.putManifest(
      REPOSITORY,
      Buffer.from(json({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] })),
      OCI_INDEX,
      "1",
    );
    await using from = registryClient(source.host);
    await using to = registryClient(target.host);
    const copying = copyImage(
      { digest: parseDigest(digest) },
      from.repository(REPOSITORY),
      to.repository(REPOSITORY),
      { tag: "1", referrers: false, lease: inProcessLease() },
    );
    await expect(Array.fromAsync(copying)).rejects.toMatchObject({ code: "SOURCE_BROKEN" });
    expect(target.digestOf(REPOSITORY, "1")).toBeUndefined();
  });
});

/** Temporary faults: the copy succeeds, and the tag is correct. */
const MENDED: readonly { row: string; on: RuleMatch; fault: Fault; at?: "source" | "target" }[] = [
  {
    row: "D37 a blob that is short but well-formed, each time",
    on: { kind: "blob", method: "GET", always: true },
    fault: shortBody(50_000, { framing: "chunked" }),
  },
  {
    row: "D34 no digest header",
    on: { kind: "manifest", always: true },
    fault: header("docker-content-digest", null),
  },
  {
    row: "D35 HEAD is answered 405",
    on: { kind: "manifest", method: "HEAD", always: true },
    fault: status(405),
  },
  {
    row: "D37 a blob that breaks off once",
    on: { kind: "blob", method: "GET" },
    fault: reset({ afterBytes: 1000 }),
  },
  {
    row: "D42 another range than asked for",
    on: { kind: "blob", method: "GET" },
    fault: reset({ afterBytes: 1000 }),
  },
  { row: "D50 503 once", on: { kind: "blob", method: "GET" }, fault: status(503) },
  {
    row: "D52 a mount answered 202",
    at: "target",
    on: { method: "POST" },
    fault: altered((answer) => answer),
  },
  {
    row: "D54 the session is lost once",
    at: "target",
    on: { method: "PUT", kind: "upload" },
    fault: registryError(404, "BLOB_UPLOAD_UNKNOWN"),
  },
  {
    row: "the connection of an upload breaks once",
    at: "target",
    on: { method: "PUT", kind: "upload" },
    fault: reset(),
  },
  { row: "D47 an odd header line", on: { kind: "blob", method: "GET" }, fault: headerLines("X-Odd: fine") },
];

test.for(MENDED)("$row: the copy gets through", async ({ on, fault, at = "source" }) => {
  const ended = await copyBetween((source, target) => (at === "source" ? source : target).on(on, fault));
  expect(ended).toMatchObject({ code: "done", published: true });
});

describe("manifests that are valid JSON and no images", () => {
  const config = { mediaType: "x/y", digest: `sha256:${"0".repeat(64)}`, size: 2 };
  const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] as unknown[] };
  const layer = { ...config, digest: `sha256:${"1".repeat(64)}` };

  test.for<[string, Record<string, unknown>, ErrorCode]>([
    ["D21 layers and manifests", { ...image, manifests: [] }, "MANIFEST_AMBIGUOUS"],
    ["D22 schema 1", { schemaVersion: 1, fsLayers: [] }, "MANIFEST_SCHEMA1"],
    ["D23 no config", { ...image, config: null }, "MANIFEST_SHAPE"],
    [
      "D24 10,001 layers",
      { ...image, layers: Array.from({ length: 10_001 }, () => layer) },
      "MANIFEST_FANOUT",
    ],
    ["D25 a text as size", { ...image, layers: [{ ...layer, size: "2" }] }, "DESCRIPTOR_SIZE"],
    ["D26 a path as digest", { ...image, layers: [{ ...layer, digest: "../x" }] }, "DESCRIPTOR_DIGEST"],
    [
      "D27 one digest, two sizes",
      { ...image, layers: [layer, { ...layer, size: 3 }] },
      "DESCRIPTOR_CONFLICT",
    ],
    ["D29 data of another digest", { ...image, layers: [{ ...layer, data: "e30=" }] }, "DESCRIPTOR_DATA"],
  ])("%s", async ([, document, code]) => {
    await using source = await startRegistry({ behaviour: { verifyReferences: false } });
    await using target = await startRegistry();
    const { mediaType = OCI_MANIFEST } = document as { mediaType?: string };
    const digest = source.putManifest(REPOSITORY, Buffer.from(json(document)), mediaType, "1");
    expect(await copied(source, target, { digest: parseDigest(digest) })).toBe(code);
    expect(target.digestOf(REPOSITORY, "1")).toBeUndefined();
  });

  test("D30 indexes that are nested deeper than eight levels: INDEX_LOOP", async () => {
    await using source = await startRegistry({ behaviour: { verifyReferences: false } });
    await using target = await startRegistry();
    let nested = buildImage({ layers: 1 });
    for (let level = 0; level < 10; level += 1) nested = buildIndexOf([{ image: nested }]);
    await pushTo(source, REPOSITORY, nested, "1");
    expect(await copied(source, target, { digest: nested.manifest.digest })).toBe("INDEX_LOOP");
    expect(target.digestOf(REPOSITORY, "1")).toBeUndefined();
  });

  test("D32 a platform that the index lacks: PLATFORM_ABSENT, and what there is", async () => {
    await using source = await startRegistry();
    await using target = await startRegistry();
    const built = await pushTo(source, REPOSITORY, buildIndex({ layers: 1 }), "1");
    const failed = await failure(source, target, { digest: built.manifest.digest }, [
      { os: "plan9", architecture: "mips" },
    ]);
    expect(failed).toMatchObject({ code: "PLATFORM_ABSENT" });
    expect(JSON.stringify(failed)).toContain("linux/amd64");
    expect(target.digestOf(REPOSITORY, "1")).toBeUndefined();
  });

  test("D56 a tag that shows another digest after it was written: TARGET_READBACK", async () => {
    await using source = await startRegistry();
    await using target = await startRegistry();
    const { manifest } = await pushTo(source, REPOSITORY, buildImage({ layers: 1 }), "1");
    target.on(
      { kind: "manifest", method: "HEAD", reference: "1", always: true },
      header("docker-content-digest", `sha256:${"b".repeat(64)}`),
    );
    expect(await copied(source, target, { digest: manifest.digest })).toBe("TARGET_READBACK");
  });
});

async function failure(
  source: TestRegistry,
  target: TestRegistry,
  image: { readonly digest: Digest },
  platforms?: readonly Platform[],
): Promise<unknown> {
  await using from = registryClient(source.host);
  await using to = registryClient(target.host);
  const options = {
    tag: "1",
    referrers: false,
    lease: inProcessLease(),
    ...(platforms ? { platforms } : {}),
  };
  return await Array.fromAsync(
    copyImage(image, from.repository(REPOSITORY), to.repository(REPOSITORY), options),
  ).then(
    () => "done",
    (error: unknown) => error,
  );
}

async function copied(...of: Parameters<typeof failure>): Promise<unknown> {
  const failed = await failure(...of);
  return isTagferryError(failed) ? failed.code : failed;
}

describe("a host that is asked whether it is a registry", () => {
  test.for<[string, Fault]>([
    ["D1 404", status(404)],
    ["D1 a page", html(200)],
    ["D2 a redirect to a login page", redirect("/login", 302)],
  ])("%s: REGISTRY_NOT_V2", async ([, fault]) => {
    await using host = await startRegistry({
      other: () => ({ status: 200, headers: { "content-type": "text/html" }, body: Buffer.from("<html>") }),
    });
    host.on({ kind: "ping", always: true }, fault);
    await using client = registryClient(host.host);
    await expect(client.ping()).rejects.toMatchObject({ code: "REGISTRY_NOT_V2" });
  });
});

describe("a token server", () => {
  const auth = { kind: "bearer", username: "u", password: "canary-secret" } as const;

  test.for<[string, Fault]>([
    ["D6 a page", html(200)],
    ["D6 no token", replaceBody("{}")],
    ["D6 a token of 1 MiB", replaceBody(json({ token: "x".repeat(1024 * 1024) }))],
    ["D6 a token with a line break", replaceBody(json({ token: "a\r\nx: y" }))],
    ["D6 a redirect", redirect("http://localhost:1/token")],
  ])("%s: AUTH_TOKEN", async ([, fault]) => {
    await using source = await startRegistry({ auth });
    source.on({ kind: "token", always: true }, fault);
    await using client = registryClient(source.host, { credentials: loggedIn("u", "canary-secret") });
    const failed = await client
      .repository(REPOSITORY)
      .resolve("1")
      .catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "AUTH_TOKEN" });
    expect(JSON.stringify(failed)).not.toContain("canary-secret");
  });

  test.for([429, 503])("%i with Retry-After is asked again no sooner than it says", async (code) => {
    await using source = await startRegistry({ auth });
    await pushTo(source, REPOSITORY, buildImage({ layers: 1 }), "1");
    source.on({ kind: "token" }, status(code, { headers: { "retry-after": "1" } }));
    await using client = registryClient(source.host, { credentials: loggedIn("u", "canary-secret") });
    expect(await client.repository(REPOSITORY).resolve("1")).toBeDefined();
    const [refused, served, ...more] = source.ledger.find({ kind: "token" });
    expect(more).toEqual([]);
    expect((served?.at ?? 0) - (refused?.at ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test("429 with ten hours is told with its time", async () => {
    await using source = await startRegistry({ auth });
    source.on({ kind: "token", always: true }, status(429, { headers: { "retry-after": "36000" } }));
    await using client = registryClient(source.host, { credentials: loggedIn("u", "canary-secret") });
    await expect(client.repository(REPOSITORY).resolve("1")).rejects.toMatchObject({
      code: "RATE_LIMITED",
      details: { retryAt: expect.stringMatching(/^\d{4}-/) },
    });
    expect(source.ledger.count({ kind: "token" })).toBe(1);
  });

  test.for([0, -5, "300", 1e12, "soon", null])(
    "D7 expires_in %j: the token is taken, and asked for once",
    async (expiresIn) => {
      await using source = await startRegistry({ auth: { ...auth, expiresIn } });
      await pushTo(source, REPOSITORY, buildImage({ layers: 1 }), "1");
      await using client = registryClient(source.host, { credentials: loggedIn("u", "canary-secret") });
      for (let round = 0; round < 3; round += 1)
        expect(await client.repository(REPOSITORY).resolve("1")).toBeDefined();
      expect(source.ledger.count({ kind: "token" })).toBe(1);
    },
  );
});

const LISTINGS: readonly { row: string; fault: Fault; code: ErrorCode }[] = [
  { row: "D11 tags that are no list", fault: replaceBody('{"tags":"1"}'), code: "TAGS_INVALID" },
  { row: "D11 names that are no tags", fault: replaceBody('{"tags":["../../x"]}'), code: "TAGS_INVALID" },
  { row: "D11 an object without tags", fault: replaceBody("{}"), code: "TAGS_INVALID" },
  { row: "D11 a page instead of a listing", fault: html(200), code: "TAGS_INVALID" },
  {
    row: "D12 the same page for ever",
    fault: header("link", '</v2/library/app/tags/list?n=1000>; rel="next"'),
    code: "TAGS_LIMIT",
  },
  {
    row: "D13 a page on another host",
    fault: header("link", '<http://localhost:1/v2/library/app/tags/list>; rel="next"'),
    code: "LINK_FOREIGN",
  },
];

describe("a listing that is none fails whole: nothing follows from it", () => {
  test.for(LISTINGS)("$row: $code", async ({ fault, code }) => {
    await using source = await startRegistry();
    await pushTo(source, REPOSITORY, buildImage(), "1");
    source.on({ kind: "tags", always: true }, fault);
    await using client = registryClient(source.host);
    await expect(Array.fromAsync(client.repository(REPOSITORY).listing())).rejects.toMatchObject({ code });
  });

  test("D11 a name that is no tag is left out, and the others are listed", async () => {
    await using source = await startRegistry();
    await pushTo(source, REPOSITORY, buildImage(), "1");
    source.on({ kind: "tags", always: true }, replaceBody('{"tags":["v1","../x",7,"v2"]}'));
    await using client = registryClient(source.host);
    expect(await Array.fromAsync(client.repository(REPOSITORY).listing())).toEqual([
      { tag: "v1" },
      { tag: "v2" },
    ]);
  });

  test("D10 no tags at all is an empty listing", async () => {
    await using source = await startRegistry();
    await pushTo(source, REPOSITORY, buildImage(), "1");
    source.on({ kind: "tags", always: true }, replaceBody('{"tags":null}'));
    await using client = registryClient(source.host);
    expect(await Array.fromAsync(client.repository(REPOSITORY).listing())).toEqual([]);
  });
});

describe("credentials", () => {
  test.for([
    ["D3 401 without a challenge", header("www-authenticate", null), "AUTH_NO_CHALLENGE"],
    ["D4 a challenge nobody can read", header("www-authenticate", "Negotiate, NTLM"), "AUTH_CHALLENGE"],
    [
      "D5 a realm on another host",
      header("www-authenticate", 'Bearer realm="http://localhost:1/token"'),
      "AUTH_REALM",
    ],
    [
      "D5 a realm with a user",
      header("www-authenticate", 'Bearer realm="http://u:p@127.0.0.1/token"'),
      "AUTH_REALM",
    ],
    ["D5 a realm that is no address", header("www-authenticate", 'Bearer realm="/token"'), "AUTH_REALM"],
  ] as const)("%s: %s", async ([, fault, code]) => {
    await using source = await startRegistry({
      auth: { kind: "basic", username: "u", password: "canary-secret" },
    });
    source.on({ always: true }, fault);
    await using client = registryClient(source.host, { credentials: loggedIn("u", "canary-secret") });
    const failed = await client
      .repository(REPOSITORY)
      .resolve("1")
      .catch((error: unknown) => error);
    expect(failed).toMatchObject({ code });
    expect(JSON.stringify(failed)).not.toContain("canary-secret");
  });

  test("D8 a wrong password is refused after few attempts", async () => {
    await using source = await startRegistry({ auth: { kind: "basic", username: "u", password: "right" } });
    await using client = registryClient(source.host, { credentials: loggedIn("u", "wrong") });
    await expect(client.repository(REPOSITORY).resolve("1")).rejects.toMatchObject({ code: "AUTH_DENIED" });
    expect(source.ledger.entries.length).toBeLessThanOrEqual(2);
  });

  test("T1 T2 never leave for another origin: a redirect takes none along, and a stranger's 401 gets none", async () => {
    await using stranger = await startRegistry({
      auth: { kind: "basic", username: "u", password: "canary" },
    });
    await using source = await startRegistry({ auth: { kind: "basic", username: "u", password: "canary" } });
    await pushTo(source, REPOSITORY, buildImage(), "1");
    await using client = registryClient(source.host, { credentials: loggedIn("u", "canary") });
    const reading = client.repository(REPOSITORY);
    const { blobs } = await reading.manifest("1");
    const [blob] = blobs;
    source.on({ kind: "blob", always: true, authorized: true }, redirect(`${stranger.url}/v2/x/blobs/y`));
    const failed = await Array.fromAsync(blob ? reading.blob(blob) : []).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: expect.stringMatching(/AUTH_DENIED|REQUEST_REJECTED/) });
    expect(stranger.ledger.entries.length).toBeGreaterThan(0);
    expect(stranger.ledger.entries.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
  });
});
