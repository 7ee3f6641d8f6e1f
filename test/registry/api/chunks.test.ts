import { expect, test } from "vitest";

import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { seededBytes } from "../../support/images/content.ts";
import { registryClient } from "../../support/registry/client.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";

const MIB = 1024 * 1024;

/** Pushes a blob and returns the lengths of the accepted bodies. */
async function push(registry: TestRegistry, bytes: Uint8Array): Promise<readonly number[]> {
  await using client = registryClient(registry.host);
  const blob: Descriptor = {
    mediaType: "application/octet-stream",
    digest: digestOf(bytes),
    size: bytes.length,
  };
  async function* content(): AsyncGenerator<Uint8Array, void, void> {
    for (let at = 0; at < bytes.length; at += 64 * 1024) yield bytes.subarray(at, at + 64 * 1024);
  }
  expect(await client.repository("a/b").pushBlob(blob, content)).toMatchObject({ how: "pushed" });
  expect(registry.hasBlob("a/b", blob.digest)).toBe(true);
  return registry.ledger.entries
    .filter(({ method, status }) => method === "PATCH" && status === 202)
    .map(({ requestBytes }) => requestBytes);
}

test("sends a blob in ever smaller parts when the proxy in front takes no more than a mebibyte", async () => {
  await using registry = await startRegistry({ behaviour: { bodyLimitBytes: MIB } });
  expect(await push(registry, seededBytes("large", 2.5 * MIB))).toEqual([MIB, MIB, MIB / 2]);
});

test("keeps to the largest part that the registry names", async () => {
  await using registry = await startRegistry({ behaviour: { chunkMaxBytes: MIB } });
  expect(await push(registry, seededBytes("large", 1.5 * MIB))).toEqual([MIB, MIB / 2]);
});
