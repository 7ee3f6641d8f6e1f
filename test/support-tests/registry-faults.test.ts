import { connect } from "node:net";
import { gunzipSync } from "node:zlib";

import { describe, expect, test } from "vitest";

import { digestOf } from "../../src/oci/digest.ts";
import { OCI_MANIFEST } from "../../src/oci/media-type.ts";
import { ask, errorCode } from "../support/ask.ts";
import { makeCertificates } from "../support/certificates.ts";
import {
  delay,
  drip,
  earlyAnswer,
  duplicateContentLength,
  headerLines,
  informational,
  interruptedUpload,
  lineFeedsOnly,
  raw,
  reset,
  stall,
  unsolicited,
} from "../support/registry/connection-faults.ts";
import {
  acceptsEverything,
  afterwards,
  contentEncoding,
  corruptBody,
  doing,
  header,
  html,
  ignoring,
  longBody,
  normally,
  rateLimited,
  redirect,
  registryError,
  replaceBody,
  shortBody,
  status,
  together,
} from "../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import type { Fault } from "../support/registry/rules.ts";

const BLOB = Buffer.from("0123456789".repeat(100));

type Stored = { registry: TestRegistry; url: string };

/** A registry with one blob, and a fault for the next request. */
async function withBlob(...faults: Fault[]): Promise<AsyncDisposable & Stored> {
  const registry = await startRegistry();
  const digest = registry.putBlob("a/b", BLOB);
  registry.on({ kind: "blob" }, ...faults);
  const url = `${registry.url}/v2/a/b/blobs/${digest}`;
  return { registry, url, [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose]() };
}

/** Everything the server writes on a connection, with how it ended. */
async function rawReply(url: string): Promise<{ text: string; end: string }> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect(Number(port), hostname);
  const { promise, resolve } = Promise.withResolvers<{ text: string; end: string }>();
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.once("error", (error: NodeJS.ErrnoException) => resolve({ text, end: error.code ?? "error" }));
  socket.once("close", () => resolve({ text, end: "close" }));
  socket.write(`GET ${pathname} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  return promise;
}

describe("a rule", () => {
  test("gives its faults one after the other, then is spent", async () => {
    await using stored = await withBlob(status(500), normally, status(503));
    const seen = [];
    for (let turn = 0; turn < 5; turn += 1) seen.push((await ask("GET", stored.url)).status);
    expect(seen).toEqual([500, 200, 503, 200, 200]);
  });

  test("with `always` gives the last for ever, until it is taken away", async () => {
    await using registry = await startRegistry();
    const remove = registry.on({ kind: "ping", always: true }, status(500), status(429));
    const seen = [];
    for (let turn = 0; turn < 3; turn += 1) seen.push((await ask("GET", `${registry.url}/v2/`)).status);
    remove();
    seen.push((await ask("GET", `${registry.url}/v2/`)).status);
    expect(seen).toEqual([500, 429, 429, 200]);
  });

  test("with `nth` lets the ones before pass", async () => {
    await using registry = await startRegistry();
    registry.on({ nth: 3 }, status(500));
    const seen = [];
    for (let turn = 0; turn < 4; turn += 1) seen.push((await ask("GET", `${registry.url}/v2/`)).status);
    expect(seen).toEqual([200, 200, 500, 200]);
  });

  test.for([
    [{ method: "HEAD" }, false],
    [{ path: /\/blobs\// }, true],
    [{ path: /blobs\/sha256:[0-9a-f]+$/, method: "GET" }, true],
    [{ path: "/v2/a/b/blobs/" }, false],
    [{ kind: "manifest" }, false],
    [{ repository: "a/b" }, true],
    [{ repository: "a" }, false],
    [{ reference: digestOf(BLOB) }, true],
    [{ authorized: true }, false],
    [{ authorized: false }, true],
  ] as const)("for %o takes a GET of a blob: %s", async ([match, taken]) => {
    await using stored = await withBlob();
    stored.registry.on(match, status(418));
    expect((await ask("GET", stored.url)).status).toBe(taken ? 418 : 200);
  });

  test("leaves a request to the first that was made", async () => {
    await using stored = await withBlob(status(500));
    stored.registry.on({ kind: "blob" }, status(501));
    expect((await ask("GET", stored.url)).status).toBe(500);
    expect((await ask("GET", stored.url)).status).toBe(501);
  });
});

describe("an answer", () => {
  test("of a status does not touch the registry", async () => {
    await using registry = await startRegistry();
    registry.on({ kind: "manifest" }, registryError(403, "DENIED", { message: "quota exceeded" }));
    const refused = await ask("PUT", `${registry.url}/v2/a/b/manifests/v1`, { body: "{}" });
    expect({ status: refused.status, code: errorCode(refused) }).toEqual({ status: 403, code: "DENIED" });
    expect(registry.tags("a/b")).toEqual([]);
    expect(registry.ledger.entries[0]?.requestBytes).toBe(2);
  });

  test("can be a page", async () => {
    await using stored = await withBlob(html(200, "Log in"));
    const { status: code, headers, body } = await ask("GET", stored.url);
    expect({ code, type: headers["content-type"] }).toEqual({ code: 200, type: "text/html; charset=utf-8" });
    expect(body.toString()).toContain("<h1>Log in</h1>");
  });

  test.for([[10], ["Wed, 21 Oct 2065 07:28:00 GMT"], ["soon"], [undefined]] as const)(
    "can be a 429 with Retry-After %s",
    async ([retryAfter]) => {
      await using stored = await withBlob(rateLimited(retryAfter));
      const limited = await ask("GET", stored.url);
      expect(limited.status).toBe(429);
      expect(limited.headers["retry-after"]).toBe(retryAfter === undefined ? undefined : String(retryAfter));
      expect(errorCode(limited)).toBe("TOOMANYREQUESTS");
    },
  );

  test("can have a header set, or left out", async () => {
    await using stored = await withBlob(
      header("docker-content-digest", `sha256:${"0".repeat(64)}`),
      header("Docker-Content-Digest", null),
    );
    const digests = [await ask("GET", stored.url), await ask("GET", stored.url)].map(
      ({ headers }) => headers["docker-content-digest"],
    );
    expect(digests).toEqual([`sha256:${"0".repeat(64)}`, undefined]);
  });

  test("can have another body under the same headers", async () => {
    await using stored = await withBlob(replaceBody("other"));
    const { headers, body } = await ask("GET", stored.url);
    expect(body.toString()).toBe("other");
    expect(headers["docker-content-digest"]).toBe(digestOf(BLOB));
  });

  test("can have one byte wrong", async () => {
    await using stored = await withBlob(corruptBody({ at: 7 }));
    const { body } = await ask("GET", stored.url);
    expect(body).toHaveLength(BLOB.length);
    expect([...body].filter((byte, at) => byte !== BLOB[at])).toHaveLength(1);
    expect(stored.registry.hasBlob("a/b", digestOf(BLOB)), "the registry's own copy is whole").toBe(true);
  });

  test.for(["chunked", "close"] as const)("can be too short and well-formed (%s)", async (framing) => {
    await using stored = await withBlob(shortBody(10, { framing }));
    const { body, headers } = await ask("GET", stored.url);
    expect(body.toString()).toBe("0123456789");
    expect(headers["content-length"]).toBeUndefined();
  });

  test("can be shorter than its Content-Length", async () => {
    await using stored = await withBlob(shortBody(10));
    const { text, end } = await rawReply(stored.url);
    expect(text).toContain(`content-length: ${BLOB.length}\r\n`);
    expect(text.endsWith("\r\n\r\n0123456789")).toBe(true);
    expect(end).toBe("close");
  });

  test.for(["content-length", "chunked", "close"] as const)("can be too long (%s)", async (framing) => {
    await using stored = await withBlob(longBody(3, { framing }));
    const { body } = await ask("GET", stored.url);
    expect(body).toHaveLength(BLOB.length + 3);
  });

  test("can be compressed, as by a proxy", async () => {
    await using stored = await withBlob(contentEncoding("gzip"));
    const { headers, body } = await ask("GET", stored.url);
    expect(headers["content-encoding"]).toBe("gzip");
    expect(gunzipSync(body)).toEqual(BLOB);
  });

  test.for([
    ["https://elsewhere.test/x", 307],
    [undefined, 302],
    ["file:///etc/passwd", 307],
  ] as const)("can redirect to %s", async ([to, code]) => {
    await using stored = await withBlob(redirect(to, code));
    const answer = await ask("GET", stored.url);
    expect({ status: answer.status, location: answer.headers.location }).toEqual({
      status: code,
      location: to,
    });
  });

  test("can ignore a Range", async () => {
    await using stored = await withBlob(ignoring("Range"));
    const answers = [
      await ask("GET", stored.url, { headers: { range: "bytes=5-" } }),
      await ask("GET", stored.url, { headers: { range: "bytes=5-" } }),
    ];
    expect(answers.map(({ status: code, body }) => [code, body.length])).toEqual([
      [200, BLOB.length],
      [206, BLOB.length - 5],
    ]);
  });

  test("can be that all is well, whatever was asked", async () => {
    await using registry = await startRegistry();
    registry.on({ always: true }, acceptsEverything);
    const answers = [
      await ask("POST", `${registry.url}/v2/a/b/blobs/uploads/`),
      await ask("PUT", `${registry.url}/v2/a/b/manifests/v1`, { body: "x" }),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([200, 200]);
  });

  test("can follow a change of the world, or come before it", async () => {
    await using registry = await startRegistry();
    const [old, young] = ["1", "2"].map((text) =>
      registry.putManifest("a/b", Buffer.from(text), OCI_MANIFEST, "v1"),
    );
    const resolve = async (): Promise<unknown> => {
      const { headers } = await ask("HEAD", `${registry.url}/v2/a/b/manifests/v1`, {
        headers: { accept: OCI_MANIFEST },
      });
      return headers["docker-content-digest"];
    };
    registry.on(
      { kind: "manifest" },
      doing(() => old && registry.tag("a/b", "v1", old)),
      afterwards(() => young && registry.tag("a/b", "v1", young)),
    );
    expect([await resolve(), await resolve(), await resolve()]).toEqual([old, old, young]);
  });

  test("can suffer several faults", async () => {
    await using stored = await withBlob(together(delay(1), header("x-extra", "1"), corruptBody({ at: 0 })));
    const { headers, body } = await ask("GET", stored.url);
    expect(headers["x-extra"]).toBe("1");
    expect(body[0]).not.toBe(BLOB[0]);
  });
});

describe("on the wire", () => {
  test("header lines can end in LF only", async () => {
    await using stored = await withBlob(lineFeedsOnly(429, { headers: { "retry-after": "1" } }));
    const { text } = await rawReply(stored.url);
    expect(text).toMatch(/^HTTP\/1\.1 429 Too Many Requests\n/);
    expect(text).toContain("\nretry-after: 1\n\nToo Many Requests");
    expect(text).not.toContain("\r");
  });

  test("Content-Length can stand twice", async () => {
    await using stored = await withBlob(duplicateContentLength(5, 1000));
    const { text } = await rawReply(stored.url);
    expect(text).toContain("\r\ncontent-length: 5\r\ncontent-length: 1000\r\n\r\n0123");
  });

  test("a header line can be anything", async () => {
    await using stored = await withBlob(headerLines("content-length: -1", `x-long: ${"y".repeat(20_000)}`));
    const { text } = await rawReply(stored.url);
    expect(text).toContain("content-length: -1\r\n");
    expect(text.length).toBeGreaterThan(20_000);
  });

  test("1xx answers can come before the real one", async () => {
    await using stored = await withBlob(informational(50));
    const { text } = await rawReply(stored.url);
    expect(text.split("HTTP/1.1 103 ")).toHaveLength(51);
    expect(text).toContain("HTTP/1.1 200 OK");
    expect(text.endsWith(BLOB.toString())).toBe(true);
  });

  test("an answer can be followed by one nobody asked for", async () => {
    await using stored = await withBlob(unsolicited("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"));
    const { hostname, port, pathname } = new URL(stored.url);
    const socket = connect(Number(port), hostname);
    let text = "";
    const second = new Promise<void>((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
        if (text.endsWith("evil")) resolve();
      });
    });
    socket.write(`GET ${pathname} HTTP/1.1\r\nhost: x\r\n\r\n`);
    await second;
    socket.destroy();
    expect(text.split("HTTP/1.1 200 OK")).toHaveLength(3);
  });

  test("the bytes can be anything", async () => {
    await using stored = await withBlob(raw("SSH-2.0-OpenSSH\r\n"));
    expect(await rawReply(stored.url)).toEqual({ text: "SSH-2.0-OpenSSH\r\n", end: "close" });
  });

  test("a connection can be reset at once", async () => {
    await using stored = await withBlob(reset());
    expect(await rawReply(stored.url)).toEqual({ text: "", end: "ECONNRESET" });
    expect(stored.registry.ledger.entries[0]).toMatchObject({ status: 0, broken: true });
  });

  test("a connection can be closed without a word", async () => {
    await using stored = await withBlob(reset({ by: "close" }));
    expect(await rawReply(stored.url)).toEqual({ text: "", end: "close" });
  });

  test("a connection can be reset within a body", async () => {
    await using stored = await withBlob(reset({ afterBytes: 10 }));
    const { text, end } = await rawReply(stored.url);
    expect(text.endsWith("\r\n\r\n0123456789")).toBe(true);
    expect(end).toBe("ECONNRESET");
    expect(stored.registry.ledger.entries[0]?.responseBytes).toBe(10);
  });

  test("a connection can be reset over TLS too", async () => {
    const { server, ca } = await makeCertificates();
    await using registry = await startRegistry({ tls: server });
    registry.on({ kind: "ping" }, reset());
    await expect(ask("GET", `${registry.url}/v2/`, { tls: { ca: ca.cert } })).rejects.toThrow(
      /ECONNRESET|socket hang up/,
    );
    expect((await ask("GET", `${registry.url}/v2/`, { tls: { ca: ca.cert } })).status).toBe(200);
  });

  test("an answer can be lost after the registry has acted", async () => {
    await using registry = await startRegistry({ behaviour: { verifyReferences: false } });
    registry.on({ method: "PUT" }, reset({ handled: true }));
    const url = `${registry.url}/v2/a/b/manifests/v1`;
    const body = '{"schemaVersion":2}';
    await expect(ask("PUT", url, { body, headers: { "content-type": OCI_MANIFEST } })).rejects.toThrow(/./);
    expect(registry.tags("a/b")).toEqual(["v1"]);
  });

  test("a request can be cut off before the registry has acted", async () => {
    await using registry = await startRegistry({ behaviour: { verifyReferences: false } });
    registry.on({ method: "PUT" }, reset({ afterRequestBytes: 5 }));
    const url = `${registry.url}/v2/a/b/manifests/v1`;
    await expect(ask("PUT", url, { body: '{"schemaVersion":2}' })).rejects.toThrow(/./);
    expect(registry.tags("a/b")).toEqual([]);
  });

  test.for([
    ["keep", 204, "0-99"],
    ["drop", 404, undefined],
  ] as const)(
    "an upload can break off, and the session is kept or not (%s)",
    async ([brokenPatch, code, range]) => {
      await using registry = await startRegistry({ behaviour: { brokenPatch } });
      const { headers } = await ask("POST", `${registry.url}/v2/a/b/blobs/uploads/`);
      const session = headers.location ?? "";
      registry.on({ method: "PATCH" }, interruptedUpload(100));
      await expect(ask("PATCH", session, { body: BLOB })).rejects.toThrow(/./);
      const told = await ask("GET", session);
      expect({ status: told.status, range: told.headers.range }).toEqual({ status: code, range });
    },
  );

  test("an answer can come while the request is still under way", async () => {
    await using registry = await startRegistry();
    const { headers } = await ask("POST", `${registry.url}/v2/a/b/blobs/uploads/`);
    registry.on({ method: "PATCH" }, earlyAnswer(1, registryError(413, "SIZE_INVALID")));
    const { hostname, port, pathname, search } = new URL(headers.location ?? "");
    const socket = connect(Number(port), hostname);
    const answered = new Promise<string>((resolve) =>
      socket.once("data", (chunk: Buffer) => resolve(chunk.toString("latin1"))),
    );
    socket.write(
      `PATCH ${pathname}${search} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nfirst bytes`,
    );
    expect(await answered).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  test.for([[undefined], [0], [10]] as const)("an answer can stall after %s bytes", async ([afterBytes]) => {
    await using stored = await withBlob(stall(afterBytes === undefined ? {} : { afterBytes }));
    const { hostname, port, pathname } = new URL(stored.url);
    const socket = connect(Number(port), hostname);
    let text = "";
    const enough = new Promise<void>((resolve) => {
      if (afterBytes === undefined) stored.registry.before(() => resolve());
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
        if (text.endsWith(`\r\n\r\n${BLOB.toString("latin1", 0, afterBytes)}`)) resolve();
      });
    });
    const left = new Promise<void>((resolve) => stored.registry.ledger.onEntry(() => resolve()));
    socket.write(`GET ${pathname} HTTP/1.1\r\nhost: x\r\n\r\n`);
    await enough;
    socket.destroy();
    await left;
    expect(stored.registry.ledger.entries[0]).toMatchObject({ broken: true, responseBytes: afterBytes ?? 0 });
  });

  test("an answer can drip", async () => {
    await using stored = await withBlob(drip({ bytes: 400, intervalMs: 1 }));
    const { body } = await ask("GET", stored.url);
    expect(body).toEqual(BLOB);
  });

  test("a stalled answer does not keep the registry from closing", async () => {
    const registry = await startRegistry();
    registry.on({ kind: "ping" }, stall());
    const arrived = registry.gate(1);
    const asked = ask("GET", `${registry.url}/v2/`);
    void arrived.then((held) => held.release());
    await registry[Symbol.asyncDispose]();
    await expect(asked).rejects.toThrow(/./);
  });
});
