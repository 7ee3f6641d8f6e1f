import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, request as send } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { pipeline } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import type { Content } from "../../../src/oci/store.ts";
import type { RegistryOptions } from "../../../src/registry/registry.ts";
import { makeCertificates } from "../../support/certificates.ts";
import { describing, reusing } from "../../support/port.ts";
import { registryClient } from "../../support/registry/client.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";
import type { Fault } from "../../support/registry/rules.ts";

const MIB = 1024 * 1024;
/** More than the socket buffers of both sides. */
const BYTES = Buffer.alloc(24 * MIB, "stalled");
const BLOB = describing(BYTES);
const PART = 20 * MIB;
const IDLE_MS = 250;
/** For tests that only check that the request ends. */
const SOON = { timeouts: { idleMs: 120, firstByteMs: 1_000 } };
const CLOSING = { method: "PUT", kind: "upload" } as const;

/** Takes the request's headers and nothing of its body, for as long as the test lasts. */
const takesNothing: Fault = () => new Promise<never>(() => {});

/** Reads a MiB at a time with a pause that is shorter than the timeout; altogether it takes far longer. */
const takesItsTime: Fault = (request, respondNormally) => {
  const { body } = request;
  const slowly = async function* (): AsyncGenerator<Uint8Array> {
    let sinceBytes = 0;
    for await (const chunk of body) {
      sinceBytes += chunk.length;
      if (sinceBytes >= MIB) {
        sinceBytes = 0;
        await delay(IDLE_MS / 6);
      }
      yield chunk;
    }
  };
  Object.assign(request, { body: { [Symbol.asyncIterator]: slowly } });
  return respondNormally();
};

async function push(
  registry: TestRegistry,
  { open = () => reusing(BYTES, 256 * 1024), ...options }: Partial<RegistryOptions> & Opening = {},
): Promise<unknown> {
  await using client = registryClient(registry.host, { timeouts: { idleMs: IDLE_MS }, ...options });
  return await client
    .repository("a/b")
    .pushBlob(BLOB, open)
    .then(
      ({ how }) => how,
      (error: unknown) => error,
    );
}

const answersLate: Fault = async (_request, respondNormally) => {
  const answer = await respondNormally();
  await delay(3 * IDLE_MS);
  return answer;
};

async function* pausing(): Content {
  yield* reusing(BYTES.subarray(0, MIB), MIB);
  await delay(3 * IDLE_MS);
  yield* reusing(BYTES.subarray(MIB), MIB);
}

type Opening = { readonly open?: () => Content };

describe("a target that takes nothing of an upload any more", () => {
  test("is STALLED after two sendings: each takes the whole time to wait", async () => {
    await using registry = await startRegistry();
    registry.on({ ...CLOSING, always: true }, takesNothing);
    expect(await push(registry)).toMatchObject({
      code: "STALLED",
      message: expect.stringContaining("accepts nothing of what is sent"),
    });
    expect(registry.ledger.count(CLOSING)).toBe(2);
  });

  test("is STALLED within a part as well", async () => {
    await using registry = await startRegistry({ behaviour: { chunkMinBytes: PART, chunkMaxBytes: PART } });
    registry.on({ method: "PATCH", always: true }, takesNothing);
    expect(await push(registry, SOON)).toMatchObject({ code: "STALLED" });
  });

  test("has the blob after all when it takes the next sending", async () => {
    await using registry = await startRegistry();
    registry.on(CLOSING, takesNothing);
    expect(await push(registry)).toBe("pushed");
    expect(registry.ledger.count(CLOSING)).toBe(2);
  });

  test("is STALLED over TLS as well", async () => {
    const { registry, ca } = await overTls();
    await using _ = registry;
    registry.on({ ...CLOSING, always: true }, takesNothing);
    expect(await push(registry, { ...SOON, plainHttp: false, ca })).toMatchObject({ code: "STALLED" });
  });

  test("is STALLED through a proxy as well", async () => {
    await using proxy = await startProxy();
    await using registry = await startRegistry();
    registry.on({ ...CLOSING, always: true }, takesNothing);
    expect(await push(registry, { ...SOON, proxy: () => proxy.url })).toMatchObject({ code: "STALLED" });
    expect(proxy.carried()).toBeGreaterThan(0);
  });

  test("is STALLED over TLS through a proxy as well", async () => {
    await using proxy = await startProxy();
    const { registry, ca } = await overTls();
    await using _ = registry;
    registry.on({ ...CLOSING, always: true }, takesNothing);
    const options = { ...SOON, plainHttp: false, ca, proxy: () => proxy.url };
    expect(await push(registry, options)).toMatchObject({ code: "STALLED" });
    expect(proxy.carried()).toBeGreaterThan(0);
  });
});

async function overTls(): Promise<{ readonly registry: TestRegistry; readonly ca: string }> {
  const { server, ca } = await makeCertificates();
  const [cert = "", key = "", authority = ""] = await Promise.all(
    [server.certFile, server.keyFile, ca.certFile].map((file) => readFile(file, "utf8")),
  );
  return { registry: await startRegistry({ tls: { cert, key } }), ca: authority };
}

type Proxy = AsyncDisposable & { readonly url: URL; carried(): number };

/** Forwards requests, and tunnels for TLS. */
async function startProxy(): Promise<Proxy> {
  let carried = 0;
  const tunnels = new Set<Socket>();
  const server = createServer((request, response) => {
    carried += 1;
    const { method = "GET", headers, url = "" } = request;
    const onward = send(url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      pipeline(answer, response, () => {});
    });
    pipeline(request, onward, () => {}); // who goes away takes the other with him
  });
  server.on("connect", ({ url = "" }, near: Socket) => {
    carried += 1;
    const { hostname, port } = new URL(`http://${url}`);
    const far = connect(Number(port), hostname, () => near.write("HTTP/1.1 200 Connected\r\n\r\n"));
    for (const socket of [near, far]) tunnels.add(socket);
    pipeline(near, far, () => {});
    pipeline(far, near, () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    carried: () => carried,
    async [Symbol.asyncDispose]() {
      for (const socket of tunnels) socket.destroy();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

test("waits for a target that takes its time, as long as it takes anything", async () => {
  await using registry = await startRegistry();
  registry.on({ ...CLOSING, always: true }, takesItsTime);
  const startedMs = performance.now();
  expect(await push(registry)).toBe("pushed");
  expect(performance.now() - startedMs).toBeGreaterThan(2 * IDLE_MS);
  expect(registry.ledger.count(CLOSING)).toBe(1);
});

test("does not blame the target for a source that pauses", async () => {
  await using registry = await startRegistry();
  expect(await push(registry, { open: pausing })).toBe("pushed");
  expect(registry.ledger.count(CLOSING)).toBe(1);
});

test("gives a target that has everything its time to answer", async () => {
  await using registry = await startRegistry();
  registry.on(CLOSING, answersLate);
  expect(await push(registry)).toBe("pushed");
  expect(registry.ledger.count(CLOSING)).toBe(1);
});
