import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { verified } from "../../../src/oci/verified.ts";
import type { RegistryOptions } from "../../../src/registry/registry.ts";
import { makeCertificates } from "../../support/certificates.ts";
import { seededBytes } from "../../support/images/content.ts";
import { loggedIn, registryClient } from "../../support/registry/client.ts";
import {
  duplicateContentLength,
  informational,
  lineFeedsOnly,
  reset,
  stall,
} from "../../support/registry/connection-faults.ts";
import {
  contentEncoding,
  corruptBody,
  header,
  ignoring,
  longBody,
  redirect,
  registryError,
  shortBody,
  status,
} from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";
import type { Fault } from "../../support/registry/rules.ts";

const MIB = 1024 * 1024;
const REPOSITORY = "a/b";

const bytes = seededBytes("large", 9.3 * MIB);
const blob: Descriptor = {
  mediaType: "application/octet-stream",
  digest: digestOf(bytes),
  size: bytes.length,
};

type Pace = (pieceBytes: number) => Promise<unknown> | undefined;

/** Reads the blob like an upload: piece by piece. Each piece is hashed before the next one is read. */
async function read(
  registry: TestRegistry,
  {
    pace = () => undefined,
    signal,
    ...options
  }: Partial<RegistryOptions> & { readonly pace?: Pace; readonly signal?: AbortSignal } = {},
): Promise<{ readonly digest: string; readonly largestBytes: number }> {
  await using client = registryClient(registry.host, options);
  const hash = createHash("sha256");
  let largestBytes = 0;
  for await (const piece of verified(client.repository(REPOSITORY).blob(blob, { signal }), blob)) {
    await pace(piece.length);
    hash.update(piece);
    largestBytes = Math.max(largestBytes, piece.length);
  }
  return { digest: `sha256:${hash.digest("hex")}`, largestBytes };
}

async function withBlob(options: Parameters<typeof startRegistry>[0] = {}): Promise<TestRegistry> {
  const registry = await startRegistry(options);
  registry.putBlob(REPOSITORY, bytes);
  return registry;
}

test("reads a large blob in pieces larger than the ordinary client's", async () => {
  await using registry = await withBlob();
  const { digest, largestBytes } = await read(registry, { pace: () => delay(1) });
  expect(digest).toBe(blob.digest);
  expect(largestBytes).toBeGreaterThan(64 * 1024);
});

test("never writes into a piece that a slow reader still has", async () => {
  await using registry = await withBlob();
  let turn = 0;
  const pace: Pace = () => delay((turn += 1) % 3 === 0 ? 8 : 0);
  expect(await read(registry, { pace })).toMatchObject({ digest: blob.digest });
});

test("reads several at a time through their own buffers, one after another on the same connections", async () => {
  await using registry = await withBlob();
  await using client = registryClient(registry.host);
  const readOnce = async (): Promise<void> => {
    for await (const _ of verified(client.repository(REPOSITORY).blob(blob), blob)) await delay(0);
  };
  await Promise.all([readOnce(), readOnce(), readOnce()]);
  const { opened } = registry.connections;
  await Promise.all([readOnce(), readOnce(), readOnce()]);
  expect(opened).toBeLessThanOrEqual(3);
  expect(registry.connections.opened).toBe(opened);
});

describe("over TLS", () => {
  test("reads a large blob whole, however slow the reader is", async () => {
    const { server, ca } = await makeCertificates();
    const [cert, key, authority] = await Promise.all(
      [server.certFile, server.keyFile, ca.certFile].map((file) => readFile(file, "utf8")),
    );
    await using registry = await withBlob({ tls: { cert: cert ?? "", key: key ?? "" } });
    const secure = { plainHttp: false, ca: authority };
    expect(await read(registry, secure)).toMatchObject({ digest: blob.digest });
    let turn = 0;
    const pace: Pace = () => delay((turn += 1) % 5 === 0 ? 5 : 0);
    expect(await read(registry, { ...secure, pace })).toMatchObject({ digest: blob.digest });
  });

  test("trusts no certificate that the ordinary client would not", async () => {
    const { server } = await makeCertificates();
    const [cert = "", key = ""] = await Promise.all(
      [server.certFile, server.keyFile].map((file) => readFile(file, "utf8")),
    );
    await using registry = await withBlob({ tls: { cert, key } });
    await expect(read(registry, { plainHttp: false })).rejects.toMatchObject({ code: "REGISTRY_TLS" });
    expect(await read(registry, { plainHttp: false, insecure: true })).toMatchObject({ digest: blob.digest });
  });
});

type Row = { readonly what: string; readonly fault: Fault; readonly requests: number };

test.for<Row>([
  { what: "ends early", fault: shortBody(5 * MIB), requests: 2 },
  { what: "breaks off", fault: reset({ afterBytes: 5 * MIB }), requests: 2 },
  { what: "breaks off before its headers", fault: reset(), requests: 2 },
  { what: "is chunked", fault: longBody(0, { framing: "chunked" }), requests: 2 },
  { what: "ends with its connection", fault: longBody(0, { framing: "close" }), requests: 2 },
  { what: "comes after an interim answer", fault: informational(1), requests: 2 },
  { what: "closes its connection", fault: header("connection", "close"), requests: 1 },
])("has the whole blob although the first answer $what", async ({ fault, requests }) => {
  await using registry = await withBlob();
  registry.on({ method: "GET", kind: "blob" }, fault);
  expect(await read(registry)).toMatchObject({ digest: blob.digest });
  expect(registry.ledger.count({ method: "GET", kind: "blob" })).toBe(requests);
});

test("keeps what came before the server closed, for a reader that takes its time", async () => {
  await using registry = await withBlob();
  registry.on({ method: "GET", kind: "blob", always: true }, header("connection", "close"));
  let readBytes = 0;
  const pace: Pace = (pieceBytes) => {
    readBytes += pieceBytes;
    return readBytes > 8 * MIB ? delay(50) : undefined; // meanwhile the rest and the end arrive
  };
  expect(await read(registry, { pace })).toMatchObject({ digest: blob.digest });
  expect(registry.ledger.count({ method: "GET", kind: "blob" })).toBe(1);
});

test("leaves an origin whose answers are not plain to the ordinary client, and asks it once", async () => {
  await using registry = await withBlob();
  registry.on({ method: "GET", kind: "blob", always: true }, longBody(0, { framing: "chunked" }));
  await using client = registryClient(registry.host);
  for (let time = 0; time < 2; time += 1)
    for await (const _ of verified(client.repository(REPOSITORY).blob(blob), blob));
  expect(registry.ledger.count({ method: "GET", kind: "blob" })).toBe(3);
});

test("goes on where the answer broke off", async () => {
  await using registry = await withBlob();
  registry.on({ method: "GET", kind: "blob" }, shortBody(5 * MIB));
  await read(registry);
  const [, second] = registry.ledger.entries.filter(({ kind }) => kind === "blob");
  expect(second?.headers["range"]).toBe(`bytes=${5 * MIB}-`);
});

test("passes over what it has when the range is ignored", async () => {
  await using registry = await withBlob();
  registry.on({ method: "GET", kind: "blob" }, shortBody(5 * MIB), ignoring("range"));
  expect(await read(registry)).toMatchObject({ digest: blob.digest });
});

test.for([
  { what: "encoded", fault: contentEncoding("gzip"), code: "CONTENT_ENCODING" },
  { what: "wrong", fault: corruptBody({ at: 6 * MIB }), code: "DIGEST_MISMATCH" },
  { what: "longer", fault: longBody(100), code: "BLOB_LONG" },
  { what: "gone", fault: registryError(404, "BLOB_UNKNOWN"), code: "BLOB_UNKNOWN" },
  { what: "forbidden", fault: registryError(403, "DENIED"), code: "DENIED" },
  { what: "of two lengths", fault: duplicateContentLength(9, 10), code: "HTTP_PROTOCOL" },
  { what: "a refusal in line feeds only", fault: lineFeedsOnly(429), code: "RATE_LIMITED" },
])("says $code when the content is $what", async ({ fault, code }) => {
  await using registry = await withBlob();
  registry.on({ method: "GET", kind: "blob", always: true }, fault);
  await expect(read(registry)).rejects.toMatchObject({ code });
});

test("goes on with a new request when nothing comes any more, and calls it stalled when that does not help", async () => {
  await using registry = await withBlob();
  const gets = { method: "GET", kind: "blob" } as const;
  const timeouts = { idleMs: 60 };
  registry.on(gets, stall({ afterBytes: 5 * MIB }));
  expect(await read(registry, { timeouts })).toMatchObject({ digest: blob.digest });
  registry.on({ ...gets, always: true }, stall({ afterBytes: 0 }));
  await expect(read(registry, { timeouts })).rejects.toMatchObject({ code: "STALLED" });
});

test("stops at once when it is told to", async () => {
  await using registry = await withBlob();
  registry.on({ method: "GET", kind: "blob", always: true }, stall({ afterBytes: 5 * MIB }));
  const stop = new AbortController();
  let readBytes = 0;
  const pace: Pace = (pieceBytes) => {
    readBytes += pieceBytes;
    if (readBytes > 4.5 * MIB) stop.abort(new Error("told to"));
    return undefined;
  };
  await expect(read(registry, { pace, signal: stop.signal })).rejects.toThrow("told to");
});

test("D44 asks the registry for another address when the signed one has expired, and goes on where it was", async () => {
  await using registry = await withBlob();
  await using storage = await withBlob();
  const gets = { method: "GET", kind: "blob" } as const;
  registry.on({ ...gets, always: true }, redirect(`${storage.url}/v2/${REPOSITORY}/blobs/${blob.digest}`));
  storage.on(gets, shortBody(5 * MIB), status(403));
  expect(await read(registry)).toMatchObject({ digest: blob.digest });
  expect(storage.ledger.entries.map((entry) => entry.status)).toEqual([200, 403, 206]);
  expect(storage.ledger.entries.at(-1)?.headers["range"]).toBe(`bytes=${5 * MIB}-`);
});

test("follows a redirect to a storage elsewhere, without credentials", async () => {
  await using registry = await withBlob({ auth: { kind: "basic", username: "user", password: "secret" } });
  await using storage = await withBlob();
  registry.on(
    { method: "GET", kind: "blob", always: true },
    redirect(`${storage.url}/v2/${REPOSITORY}/blobs/${blob.digest}`),
  );
  expect(await read(registry, { credentials: loggedIn("user", "secret") })).toMatchObject({
    digest: blob.digest,
  });
  expect(storage.ledger.entries.map(({ authorization }) => authorization)).toEqual([undefined]);
});
