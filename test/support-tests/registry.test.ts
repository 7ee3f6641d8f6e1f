import { setTimeout as wait } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-type.ts";
import { ask, errorCode, type Reply } from "../support/ask.ts";
import { makeCertificates } from "../support/certificates.ts";
import { overlappingUploads, peakRequests, uploadSpans } from "../support/ledger.ts";
import type { Behaviour } from "../support/registry/behaviour.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import { refusal } from "../support/registry/wire.ts";

const EMPTY = Buffer.from("{}");

/** A manifest with the empty config and no layers. */
function manifestOf(extra: Record<string, unknown> = {}): Buffer {
  const config = { mediaType: OCI_EMPTY, digest: digestOf(EMPTY), size: 2 };
  return Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [], ...extra }),
  );
}

/** A repository a/b with the empty config. */
async function withBehaviour(behaviour: Partial<Behaviour>): Promise<TestRegistry> {
  const registry = await startRegistry({ behaviour });
  registry.putBlob("a/b", EMPTY);
  return registry;
}

async function startUpload({ url }: { url: string }, query = ""): Promise<Reply> {
  return ask("POST", `${url}/v2/a/b/blobs/uploads/${query}`);
}

function putManifest(
  { url }: { url: string },
  reference: string,
  bytes: Uint8Array,
  type = OCI_MANIFEST,
): Promise<Reply> {
  return ask("PUT", `${url}/v2/a/b/manifests/${reference}`, {
    body: bytes,
    headers: { "content-type": type },
  });
}

/** Closes an upload that was opened, with this text. */
async function closeUpload(opened: Reply, text: string): Promise<void> {
  const digest = digestOf(Buffer.from(text));
  await ask("PUT", `${opened.headers.location ?? ""}&digest=${digest}`, { body: text });
}

function outcome(reply: Reply): { status: number; code: string | undefined } {
  return { status: reply.status, code: errorCode(reply) };
}

/** All pages of a listing, each with the link to the next. */
async function pages(registry: TestRegistry, query: string): Promise<{ tags: string[]; links: string[] }[]> {
  const seen = [];
  let next: string | undefined = `${registry.url}/v2/a/b/tags/list${query}`;
  while (next !== undefined) {
    const { headers, body }: Reply = await ask("GET", next);
    const link: string | undefined = /^<(.*)>; rel="next"$/.exec(String(headers["link"] ?? ""))?.[1];
    const { tags } = JSON.parse(body.toString()) as { tags: string[] };
    seen.push({ tags, links: link === undefined ? [] : [link] });
    next = link === undefined ? undefined : new URL(link, next).href;
  }
  return seen;
}

describe("listing tags", () => {
  const names = Array.from({ length: 25 }, (_, index) => `v${String(index).padStart(2, "0")}`);

  async function withTags(behaviour: Partial<Behaviour>): Promise<TestRegistry> {
    const registry = await withBehaviour(behaviour);
    const digest = registry.putManifest("a/b", manifestOf(), OCI_MANIFEST);
    for (const name of names) registry.tag("a/b", name, digest);
    return registry;
  }

  test.for([
    [{}, "", [25]],
    [{}, "?n=10", [10, 10, 5]],
    [{}, "?n=25", [25]],
    [{}, "?n=0", [0]],
    [{ pageSize: 20 }, "", [20, 5]],
    [{ maxPageSize: 5 }, "?n=1000", [5, 5, 5, 5, 5]],
    [{ ignoreN: true }, "?n=10", [25]],
    [{ link: "none" }, "?n=10", [10]],
    [{ link: "absolute" }, "?n=13", [13, 12]],
  ] as const)("%o with %s gives pages of %o", async ([behaviour, query, sizes]) => {
    await using registry = await withTags(behaviour);
    const seen = await pages(registry, query);
    expect(seen.map(({ tags }) => tags.length)).toEqual(sizes);
    expect(seen.flatMap(({ tags }) => tags)).toEqual(
      names.slice(
        0,
        sizes.reduce<number>((sum, size) => sum + size, 0),
      ),
    );
  });

  test("names the next page as it is told to", async () => {
    await using registry = await withTags({ link: (next) => `https://evil.test${next}` });
    const { headers } = await ask("GET", `${registry.url}/v2/a/b/tags/list?n=10`);
    expect(headers["link"]).toBe('<https://evil.test/v2/a/b/tags/list?last=v09&n=10>; rel="next"');
  });

  test("refuses a page size that is no number", async () => {
    await using registry = await withTags({});
    expect(outcome(await ask("GET", `${registry.url}/v2/a/b/tags/list?n=x`))).toEqual({
      status: 400,
      code: "PAGINATION_NUMBER_INVALID",
    });
  });
});

describe("an upload", () => {
  test("refuses a chunk that does not continue it, and tells where it stands", async () => {
    await using registry = await startRegistry();
    const session = (await startUpload(registry)).headers.location ?? "";
    await ask("PATCH", session, { body: "0123", headers: { "content-range": "0-3" } });
    for (const range of ["5-8", "0-3", "4-9", "bytes 4-7/*"]) {
      const refused = await ask("PATCH", session, { body: "4567", headers: { "content-range": range } });
      expect({ range, status: refused.status, stands: refused.headers.range }).toEqual({
        range,
        status: 416,
        stands: "0-3",
      });
    }
    const taken = await ask("PATCH", session, { body: "4567", headers: { "content-range": "4-7" } });
    expect({ status: taken.status, range: taken.headers.range }).toEqual({ status: 202, range: "0-7" });
  });

  test("tells its least chunk and takes nothing after a shorter one", async () => {
    await using registry = await startRegistry({ behaviour: { chunkMinBytes: 4, chunkMaxBytes: 8 } });
    const opened = await startUpload(registry);
    expect(opened.headers["oci-chunk-min-length"]).toBe("4");
    const session = opened.headers.location ?? "";
    const statuses = [];
    for (const [from, body] of [
      [0, "0123456789"],
      [0, "0123"],
      [4, "45"],
      [6, "6789"],
    ] as const) {
      const range = `${from}-${from + body.length - 1}`;
      statuses.push((await ask("PATCH", session, { body, headers: { "content-range": range } })).status);
    }
    expect(statuses).toEqual([416, 202, 202, 416]);
  });

  test("can be closed by its one POST", async () => {
    await using registry = await startRegistry({ behaviour: { monolithicPost: true } });
    const posted = await ask("POST", `${registry.url}/v2/a/b/blobs/uploads/?digest=${digestOf(EMPTY)}`, {
      body: EMPTY,
    });
    expect(posted.status).toBe(201);
    expect(registry.hasBlob("a/b", digestOf(EMPTY))).toBe(true);
  });

  test("takes a sha512 digest", async () => {
    await using registry = await startRegistry();
    const session = (await startUpload(registry)).headers.location ?? "";
    const digest = digestOf(EMPTY, "sha512");
    expect((await ask("PUT", `${session}&digest=${digest}`, { body: EMPTY })).status).toBe(201);
    expect(registry.hasBlob("a/b", digest)).toBe(true);
  });

  test.for([
    ["right", 204, "0-7"],
    ["stuck", 204, "0-3"],
    ["bytes", 204, "bytes=0-8"],
    ["none", 404, undefined],
  ] as const)("tells its status %s", async ([uploadStatus, status, range]) => {
    await using registry = await startRegistry({ behaviour: { uploadStatus } });
    const session = (await startUpload(registry)).headers.location ?? "";
    for (const body of ["0123", "4567"]) await ask("PATCH", session, { body });
    const told = await ask("GET", session);
    expect({ status: told.status, range: told.headers.range }).toEqual({ status, range });
  });

  test("may want its state exactly as it was written", async () => {
    await using registry = await startRegistry({ behaviour: { uploadState: "verbatim" } });
    const session = (await startUpload(registry)).headers.location ?? "";
    const rewritten = new URL(session);
    rewritten.searchParams.set("digest", digestOf(EMPTY));
    expect(outcome(await ask("PUT", rewritten.href, { body: EMPTY }))).toEqual({
      status: 404,
      code: "BLOB_UPLOAD_INVALID",
    });
    expect((await ask("PUT", `${session}&digest=${digestOf(EMPTY)}`, { body: EMPTY })).status).toBe(201);
  });

  test.for([
    ["relative", /^\/v2\/a\/b\//],
    [(path: string) => `http://elsewhere.test${path}`, /^http:\/\/elsewhere\.test\/v2\/a\/b\//],
  ] as const)("can be named otherwise (%s)", async ([location, pattern]) => {
    await using registry = await startRegistry({ behaviour: { location } });
    expect((await startUpload(registry)).headers.location).toMatch(pattern);
  });

  test("outlives the server with its store", async () => {
    const first = await startRegistry({ behaviour: { location: "relative" } });
    const { location } = (await startUpload(first)).headers;
    await ask("PATCH", `${first.url}${location ?? ""}`, { body: EMPTY });
    await first[Symbol.asyncDispose]();
    await using second = await startRegistry({ store: first.store });
    expect((await ask("PUT", `${second.url}${location ?? ""}&digest=${digestOf(EMPTY)}`)).status).toBe(201);
  });
});

describe("a registry that refuses", () => {
  test.for<[Partial<Behaviour>, number, string]>([
    [{ readOnly: 405 }, 405, "UNSUPPORTED"],
    [{ readOnly: 503 }, 503, "UNAVAILABLE"],
    [{ createRepositories: false }, 404, "NAME_UNKNOWN"],
  ])("%o refuses to open an upload", async ([behaviour, status, code]) => {
    await using registry = await startRegistry({ behaviour });
    expect(outcome(await startUpload(registry))).toEqual({ status, code });
  });

  test("over its quota takes no more blobs", async () => {
    await using registry = await startRegistry({ behaviour: { quotaBytes: 3 } });
    const push = async (text: string): Promise<Reply> => {
      const { location } = (await startUpload(registry)).headers;
      return ask("PUT", `${location ?? ""}&digest=${digestOf(Buffer.from(text))}`, { body: text });
    };
    expect((await push("abc")).status).toBe(201);
    expect(outcome(await push("d"))).toEqual({ status: 403, code: "DENIED" });
  });

  test("takes no body beyond its limit", async () => {
    await using registry = await startRegistry({ behaviour: { bodyLimitBytes: 5 } });
    const session = (await startUpload(registry)).headers.location ?? "";
    expect((await ask("PATCH", session, { body: "12345" })).status).toBe(202);
    expect((await ask("PATCH", session, { body: "123456" })).status).toBe(413);
  });

  test.for([400, 409, 412] as const)("keeps its tags where they are (%s)", async (immutableTags) => {
    await using registry = await withBehaviour({ immutableTags });
    const digest = registry.putManifest("a/b", manifestOf(), OCI_MANIFEST, "v1");
    expect((await putManifest(registry, "v1", manifestOf())).status).toBe(201);
    expect((await putManifest(registry, "v1", manifestOf({ annotations: {} }))).status).toBe(immutableTags);
    expect(registry.digestOf("a/b", "v1")).toBe(digest);
  });

  test("takes only the media types it knows", async () => {
    await using registry = await withBehaviour({ manifestTypes: [OCI_INDEX] });
    expect((await putManifest(registry, "v1", manifestOf())).status).toBe(415);
  });

  test("takes no manifest beyond its limit", async () => {
    await using registry = await withBehaviour({ manifestLimitBytes: 100 });
    expect((await putManifest(registry, "v1", manifestOf())).status).toBe(413);
  });

  test("refuses by a hook, before anything is stored", async () => {
    await using registry = await startRegistry({
      hooks: { checkManifest: () => refusal(400, "MANIFEST_INVALID", "not for us") },
    });
    expect(outcome(await putManifest(registry, "v1", manifestOf()))).toEqual({
      status: 400,
      code: "MANIFEST_INVALID",
    });
    expect(registry.tags("a/b")).toEqual([]);
  });
});

describe("a manifest", () => {
  test("of an index may name what is not there, where that is allowed", async () => {
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        manifests: [{ mediaType: OCI_MANIFEST, digest: digestOf(EMPTY), size: 2 }],
      }),
    );
    await using strict = await withBehaviour({});
    await using lenient = await withBehaviour({ sparseIndex: true });
    expect((await putManifest(strict, "v1", index, OCI_INDEX)).status).toBe(400);
    expect((await putManifest(lenient, "v1", index, OCI_INDEX)).status).toBe(201);
    expect(lenient.missing("a/b", digestOf(index))).toEqual([digestOf(EMPTY)]);
  });

  test("need not name foreign layers' blobs", async () => {
    await using registry = await withBehaviour({});
    const foreign = {
      mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
      digest: digestOf(Buffer.from("foreign")),
      size: 7,
      urls: ["https://example.test/layer"],
    };
    expect((await putManifest(registry, "v1", manifestOf({ layers: [foreign] }))).status).toBe(201);
  });

  test("can get several tags at once", async () => {
    await using registry = await withBehaviour({ multiTagPut: true });
    const bytes = manifestOf();
    const { headers } = await putManifest(registry, `${digestOf(bytes)}?tag=a&tag=b`, bytes);
    expect(headers["oci-tag"]).toBe("a, b");
    expect(registry.tags("a/b")).toEqual(["a", "b"]);
  });

  test("just written is unknown for a while where the registry is slow to know", async () => {
    await using registry = await withBehaviour({ staleReads: 2 });
    await putManifest(registry, "v1", manifestOf());
    const seen = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const { status } = await ask("HEAD", `${registry.url}/v2/a/b/manifests/v1`, {
        headers: { accept: OCI_MANIFEST },
      });
      seen.push(status);
    }
    expect(seen).toEqual([404, 404, 200, 200]);
  });

  test("is collected with its blobs when no tag reaches it", async () => {
    await using registry = await withBehaviour({});
    const blob = registry.putBlob("a/b", Buffer.from("unused"));
    const kept = registry.putManifest("a/b", manifestOf(), OCI_MANIFEST, "v1");
    const signature = manifestOf({ subject: { mediaType: OCI_MANIFEST, digest: kept, size: 1 } });
    const referrer = registry.putManifest("a/b", signature, OCI_MANIFEST);
    const dropped = registry.putManifest("a/b", manifestOf({ annotations: { a: "b" } }), OCI_MANIFEST, "old");
    registry.untag("a/b", "old");
    registry.collectGarbage();
    expect(registry.hasBlob("a/b", blob)).toBe(false);
    expect(registry.missing("a/b", kept)).toEqual([]);
    expect(registry.missing("a/b", referrer)).toEqual([]);
    expect(registry.missing("a/b", dropped)).toEqual([dropped]);
  });
});

describe("referrers", () => {
  const SBOM = "application/spdx+json";
  const SUBJECT = manifestOf();

  /** An image with three referrers, one of them an SBOM. */
  async function withReferrers(
    behaviour: Partial<Behaviour>,
  ): Promise<{ registry: TestRegistry; headers: Reply["headers"] }> {
    const registry = await withBehaviour(behaviour);
    const digest = registry.putManifest("a/b", SUBJECT, OCI_MANIFEST, "v1");
    const subject = { mediaType: OCI_MANIFEST, digest, size: SUBJECT.length };
    registry.putManifest("a/b", manifestOf({ subject, artifactType: SBOM }), OCI_MANIFEST);
    registry.putManifest("a/b", manifestOf({ subject, artifactType: "application/x" }), OCI_MANIFEST);
    const pushed = manifestOf({ subject, annotations: { created: "now" } });
    const { headers } = await putManifest(registry, digestOf(pushed), pushed);
    return { registry, headers };
  }

  const list = async (registry: TestRegistry, query = ""): Promise<{ reply: Reply; types: unknown[] }> => {
    const reply = await ask("GET", `${registry.url}/v2/a/b/referrers/${digestOf(SUBJECT)}${query}`);
    const { manifests = [] } = (reply.status === 200 ? JSON.parse(reply.body.toString()) : {}) as {
      manifests?: { artifactType?: string }[];
    };
    return { reply, types: manifests.map(({ artifactType }) => artifactType) };
  };

  test("are listed, with what the config says where there is no artifactType", async () => {
    const { registry, headers } = await withReferrers({});
    await using _ = registry;
    expect(headers["oci-subject"]).toBe(digestOf(SUBJECT));
    const { reply, types } = await list(registry);
    expect(reply.headers["content-type"]).toBe(OCI_INDEX);
    expect(types).toEqual([SBOM, "application/x", OCI_EMPTY]);
  });

  test("are filtered, and say so", async () => {
    const { registry } = await withReferrers({});
    await using _ = registry;
    const { reply, types } = await list(registry, `?artifactType=${encodeURIComponent(SBOM)}`);
    expect(reply.headers["oci-filters-applied"]).toBe("artifactType");
    expect(types).toEqual([SBOM]);
  });

  test("are not filtered by a registry that cannot", async () => {
    const { registry } = await withReferrers({ referrersFilter: false });
    await using _ = registry;
    const { reply, types } = await list(registry, `?artifactType=${encodeURIComponent(SBOM)}`);
    expect(reply.headers["oci-filters-applied"]).toBeUndefined();
    expect(types).toHaveLength(3);
  });

  test("come in pages", async () => {
    const { registry } = await withReferrers({ referrersPageSize: 2 });
    await using _ = registry;
    const { reply, types } = await list(registry);
    expect(types).toHaveLength(2);
    const next = /^<(.*)>; rel="next"$/.exec(String(reply.headers["link"]))?.[1] ?? "";
    expect(
      (JSON.parse((await ask("GET", next)).body.toString()) as { manifests: unknown[] }).manifests,
    ).toHaveLength(1);
  });

  test("are unknown to a registry of the old kind", async () => {
    const { registry, headers } = await withReferrers({ referrersApi: false });
    await using _ = registry;
    expect(headers["oci-subject"]).toBeUndefined();
    expect((await list(registry)).reply.status).toBe(404);
  });
});

describe("blobs behind a redirect", () => {
  test("are given by another origin to who brings the signature, and no credentials", async () => {
    await using registry = await startRegistry({ behaviour: { redirectBlobs: 307 } });
    const digest = registry.putBlob("a/b", Buffer.from("0123456789"));
    const { status, headers } = await ask("GET", `${registry.url}/v2/a/b/blobs/${digest}`);
    const location = headers.location ?? "";
    expect(status).toBe(307);
    expect(new URL(location).host).not.toBe(registry.host);
    expect((await ask("GET", location, { headers: { range: "bytes=8-" } })).body.toString()).toBe("89");
    expect((await ask("GET", location, { headers: { authorization: "Basic eA==" } })).status).toBe(400);
    expect((await ask("GET", location.replace("X-Signature=", "X-Signature=0"))).status).toBe(403);
    expect((await ask("HEAD", `${registry.url}/v2/a/b/blobs/${digest}`)).status).toBe(200);
    expect(registry.ledger.count({ kind: "cdn" })).toBe(3);
  });

  test("expire", async () => {
    await using registry = await startRegistry({ behaviour: { redirectBlobs: 302, signedUses: 1 } });
    const digest = registry.putBlob("a/b", EMPTY);
    const { headers } = await ask("GET", `${registry.url}/v2/a/b/blobs/${digest}`);
    const location = headers.location ?? "";
    expect([(await ask("GET", location)).status, (await ask("GET", location)).status]).toEqual([200, 403]);
  });
});

describe("with TLS", () => {
  test("answers on localhost, and can want a client certificate", async () => {
    const { server, client, ca } = await makeCertificates();
    await using registry = await startRegistry({ tls: { ...server, ca: ca.cert } });
    expect(registry.host).toMatch(/^localhost:\d+$/);
    expect((await ask("GET", `${registry.url}/v2/`, { tls: { ...client, ca: ca.cert } })).status).toBe(200);
    await expect(ask("GET", `${registry.url}/v2/`, { tls: { ca: ca.cert } })).rejects.toThrow(/./);
    await expect(ask("GET", `${registry.url}/v2/`, { tls: { ...client } })).rejects.toThrow(/certificate/);
  });
});

describe("the ledger", () => {
  test("counts the bytes that passed", async () => {
    await using registry = await startRegistry();
    const bytes = Buffer.alloc(300_000, "x");
    const session = (await startUpload(registry)).headers.location ?? "";
    await ask("PUT", `${session}&digest=${digestOf(bytes)}`, { body: bytes });
    await ask("GET", `${registry.url}/v2/a/b/blobs/${digestOf(bytes)}`);
    await ask("HEAD", `${registry.url}/v2/a/b/blobs/${digestOf(bytes)}`);
    expect(
      registry.ledger.entries.map(({ kind, method, status, requestBytes, responseBytes }) => [
        kind,
        method,
        status,
        requestBytes,
        responseBytes,
      ]),
    ).toEqual([
      ["upload", "POST", 202, 0, 0],
      ["upload", "PUT", 201, 300_000, 0],
      ["blob", "GET", 200, 0, 300_000],
      ["blob", "HEAD", 200, 0, 0],
    ]);
  });

  test("counts by what is asked, and forgets when told", async () => {
    await using registry = await startRegistry();
    await ask("GET", `${registry.url}/v2/`);
    await ask("GET", `${registry.url}/v2/a/b/tags/list?n=1`, { headers: { authorization: "Basic eA==" } });
    const { ledger } = registry;
    expect([ledger.count(), ledger.count({ kind: "ping" }), ledger.count({ status: 404 })]).toEqual([
      2, 1, 1,
    ]);
    expect(
      ledger.find({ authorized: true }).map(({ path, query, authorization }) => [path, query, authorization]),
    ).toEqual([["/v2/a/b/tags/list", "n=1", "Basic eA=="]]);
    ledger.clear();
    expect(ledger.count()).toBe(0);
  });

  test("tells of each entry when it is complete", async () => {
    await using registry = await startRegistry();
    const seen: number[] = [];
    const stop = registry.ledger.onEntry(({ status }) => seen.push(status));
    await ask("GET", `${registry.url}/v2/`);
    stop();
    await ask("GET", `${registry.url}/v2/`);
    expect(seen).toEqual([200]);
  });

  test("puts the requests of two registries in one order", async () => {
    await using first = await startRegistry();
    await using second = await startRegistry();
    for (const { url } of [first, second, first]) await ask("GET", `${url}/v2/`);
    const merged = [...first.ledger.entries, ...second.ledger.entries].toSorted(
      (one, other) => one.sequence - other.sequence,
    );
    expect(merged.map(({ host }) => host)).toEqual([first.host, second.host, first.host]);
  });

  test("shows two uploads of one blob at the same time, and no others", async () => {
    await using registry = await startRegistry();
    await closeUpload(await startUpload(registry), "one after");
    await closeUpload(await startUpload(registry), "the other");
    await closeUpload(await startUpload(registry), "one after");
    expect(overlappingUploads(registry.ledger)).toEqual([]);
    const [first, second] = [await startUpload(registry), await startUpload(registry)];
    await closeUpload(first, "both");
    await closeUpload(second, "both");
    const digest = digestOf(Buffer.from("both"));
    expect(overlappingUploads(registry.ledger).map((pair) => pair.map((span) => span.digest))).toEqual([
      [digest, digest],
    ]);
  });

  test("tells how each upload ended", async () => {
    await using registry = await withBehaviour({});
    const open = async (): Promise<string> => (await startUpload(registry)).headers.location ?? "";
    await ask("PUT", `${await open()}&digest=${digestOf(EMPTY)}`, { body: EMPTY });
    await startUpload(registry, `?mount=${digestOf(EMPTY)}&from=a/b`);
    await ask("DELETE", await open());
    await open();
    expect(uploadSpans(registry.ledger).map(({ how, bytes }) => [how, bytes])).toEqual([
      ["uploaded", 2],
      ["mounted", 0],
      ["cancelled", 0],
      ["unfinished", 0],
    ]);
  });

  test("knows how many requests and connections there were at once", async () => {
    await using registry = await startRegistry();
    const gates = [registry.gate(1), registry.gate(2), registry.gate(3)];
    const asked = [1, 2, 3].map(() => ask("GET", `${registry.url}/v2/`));
    for (const held of await Promise.all(gates)) held.release();
    await Promise.all(asked);
    await ask("GET", `${registry.url}/v2/`);
    expect(peakRequests(registry.ledger)).toBe(3);
    expect(registry.connections).toMatchObject({ opened: 4, peak: 3 });
  });
});

describe("a gate", () => {
  test("holds a request before the registry has acted", async () => {
    await using registry = await withBehaviour({});
    const gate = registry.gate({ method: "PUT" });
    const asked = putManifest(registry, "v1", manifestOf());
    const held = await gate;
    expect(held.request.path).toBe("/v2/a/b/manifests/v1");
    expect(registry.tags("a/b")).toEqual([]);
    held.release();
    expect((await asked).status).toBe(201);
    expect(registry.tags("a/b")).toEqual(["v1"]);
  });

  test("holds only the answer, where that is asked for", async () => {
    await using registry = await withBehaviour({});
    const gate = registry.gate({ method: "PUT" }, { when: "handled" });
    const asked = putManifest(registry, "v1", manifestOf());
    const held = await gate;
    expect(registry.tags("a/b")).toEqual(["v1"]);
    held.reset();
    await expect(asked).rejects.toThrow(/./);
  });

  test("drops a request whose client has died", async () => {
    await using registry = await withBehaviour({});
    const gate = registry.gate(1);
    const asked = putManifest(registry, "v1", manifestOf());
    (await gate).reset();
    await expect(asked).rejects.toThrow(/./);
    expect((await ask("GET", `${registry.url}/v2/`)).status).toBe(200);
    expect(registry.tags("a/b")).toEqual([]);
  });
});

describe("a hook before every request", () => {
  test("is waited for, and can change the world", async () => {
    await using registry = await withBehaviour({});
    const remove = registry.before(async ({ kind }) => {
      await wait(1);
      if (kind === "tags") registry.putManifest("a/b", manifestOf(), OCI_MANIFEST, "appeared");
    });
    await ask("GET", `${registry.url}/v2/`);
    expect(registry.tags("a/b")).toEqual([]);
    const { body } = await ask("GET", `${registry.url}/v2/a/b/tags/list`);
    expect(JSON.parse(body.toString())).toMatchObject({ tags: ["appeared"] });
    remove();
  });
});

test("two servers can share one store", async () => {
  await using first = await startRegistry();
  await using second = await startRegistry({ store: first.store });
  const digest: Digest = first.putBlob("a/b", EMPTY);
  expect((await ask("HEAD", `${second.url}/v2/a/b/blobs/${digest}`)).status).toBe(200);
});

test("paths of other APIs can be answered too", async () => {
  await using registry = await startRegistry({
    other: ({ path }) =>
      path === "/api/version" ? { status: 200, headers: {}, body: Buffer.from("2.12") } : undefined,
  });
  expect((await ask("GET", `${registry.url}/api/version`)).body.toString()).toBe("2.12");
  expect((await ask("GET", `${registry.url}/api/else`)).status).toBe(404);
});
