import { expect, test } from "vitest";

import { digestOf } from "../../../src/oci/digest.ts";
import type { RegistryOptions } from "../../../src/registry/registry.ts";
import { seededBytes } from "../../support/images/content.ts";
import { registryClient } from "../../support/registry/client.ts";
import { stall } from "../../support/registry/connection-faults.ts";
import { status } from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";

const timeouts = { firstByteMs: 300, retriesMs: 2_000 };
const retry: RegistryOptions["retry"] = { attempts: 5, baseMs: 1, capMs: 1 };

const bytes = seededBytes("small", 20_000);
const blob = { mediaType: "application/octet-stream", digest: digestOf(bytes), size: bytes.length };

async function* content(): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}

const push = (registry: TestRegistry): Promise<unknown> =>
  registryClient(registry.host, { timeouts, retry })
    .repository("a/b")
    .pushBlob(blob, () => content());

test("asks a registry that never answers twice, and no layer multiplies that", async () => {
  await using registry = await startRegistry();
  registry.on({ always: true }, stall());
  await using client = registryClient(registry.host, { timeouts, retry });
  const repository = client.repository("a/b");
  await expect(repository.resolve("v1")).rejects.toMatchObject({ code: "STALLED" });
  expect(registry.ledger.entries).toHaveLength(2);
  await expect(repository.blob(blob)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: "STALLED",
  });
  expect(registry.ledger.entries).toHaveLength(4);
});

test("gives up a small blob whose upload is never answered after the time of two answers", async () => {
  await using registry = await startRegistry();
  registry.on({ method: "PUT", always: true }, stall());
  // the registry may have handled the request: then the blob is found
  await push(registry).catch(() => undefined);
  expect(registry.ledger.count({ method: "PUT" })).toBeLessThanOrEqual(2);
});

test("tries a blob again within one budget, whatever fails of its upload", async () => {
  await using registry = await startRegistry();
  registry.on({ method: "PUT", always: true }, status(503));
  registry.on({ method: "POST", nth: 2, always: true }, status(503));
  const startedMs = performance.now();
  await expect(push(registry)).rejects.toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
  expect(performance.now() - startedMs).toBeLessThan(20_000);
});
