import { describe, expect, test } from "vitest";

import { copyImage } from "../../src/copy/copy.ts";
import { isSyncError, type ErrorCode } from "../../src/lib/error.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import { inProcessLease } from "../../src/oci/lease.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-type.ts";
import { buildImage, pushTo } from "../support/images.ts";
import { loggedIn, registryClient } from "../support/registry-client.ts";
import { headerLines, lineFeedsOnly, reset, stall } from "../support/registry-connection-faults.ts";
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
} from "../support/registry-faults.ts";
import type { Fault, RuleMatch } from "../support/registry-rules.ts";
import { startRegistry, type TestRegistry } from "../support/registry.ts";

const REPOSITORY = "library/app";
const blank = { config: { mediaType: "x/y", digest: `sha256:${"0".repeat(64)}`, size: 2 }, layers: [] };
const json = (value: unknown): string => JSON.stringify(value);

/** Copies the image under `1` from one registry to another, both on real sockets; tells the code it failed with. */
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
    if (isSyncError(error)) return finish(error.code, { ...error.details, message: error.message });
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

/** The rows of reliability D14-D60 that a copy meets: what is answered, and how it ends. */
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
    code: "MANIFEST_NOT_JSON",
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

/** Faults that go away: the copy gets through, and the tag is right. */
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

const LISTINGS: readonly { row: string; fault: Fault; code: ErrorCode }[] = [
  { row: "D11 tags that are no list", fault: replaceBody('{"tags":"1"}'), code: "TAGS_INVALID" },
  { row: "D11 names that are no tags", fault: replaceBody('{"tags":["../../x"]}'), code: "TAGS_INVALID" },
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
