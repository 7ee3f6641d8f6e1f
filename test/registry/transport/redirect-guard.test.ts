import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { describe, expect, test } from "vitest";

import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import type { AddressClass } from "../../../src/registry/transport/private-address.ts";
import { openRedirectGuard, type Resolve } from "../../../src/registry/transport/redirect-guard.ts";
import { seededBytes } from "../../support/images/content.ts";
import { registryClient } from "../../support/registry/client.ts";
import { redirect } from "../../support/registry/faults.ts";
import { startRegistry } from "../../support/registry/registry.ts";

/** Small blobs are read by the ordinary client, large blobs through our own sockets. */
const SIZES = { small: 1000, large: 5 * 1024 * 1024 };

const addresses = (...list: readonly string[]) =>
  list.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));

/** A DNS server that answers with the entries of the list, one per question. The last entry is used again and again. */
function resolver(...answers: readonly (readonly string[])[]): Resolve & { readonly asked: string[] } {
  const asked: string[] = [];
  const resolve: Resolve = async (hostname) => {
    asked.push(hostname);
    return addresses(...(answers[Math.min(asked.length, answers.length) - 1] ?? []));
  };
  return Object.assign(resolve, { asked });
}

/** A registry on this machine that redirects blobs, and the server that it redirects to, which counts requests. */
async function scene(size: number, place: (port: number) => string) {
  const bytes = seededBytes("redirected", size);
  const blob: Descriptor = {
    mediaType: "application/octet-stream",
    digest: digestOf(bytes),
    size: bytes.length,
  };
  let visits = 0;
  const storage = createServer((_, response) => {
    visits += 1;
    response.setHeader("content-length", bytes.length);
    response.setHeader("connection", "close");
    response.end(bytes);
  });
  await new Promise<void>((resolve) => void storage.listen(0, "127.0.0.1", resolve));
  const registry = await startRegistry();
  registry.putBlob("a/b", bytes);
  const to = place((storage.address() as AddressInfo).port);
  registry.on({ method: "GET", kind: "blob", always: true }, redirect(to));
  return {
    visits: () => visits,
    async read(resolve?: Resolve): Promise<number> {
      await using client = registryClient(registry.host, { resolve });
      let read = 0;
      for await (const piece of client.repository("a/b").blob(blob)) read += piece.length;
      return read;
    },
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      storage.closeAllConnections();
      storage.close();
    },
  };
}

describe.for(Object.entries(SIZES))("a %s blob", ([, size]) => {
  test("is read from this machine where the registry is there, too", async () => {
    await using one = await scene(size, (port) => `http://storage.example:${port}/x`);
    expect(await one.read(resolver(["127.0.0.1"]))).toBe(size);
  });

  test.for(["169.254.169.254", "fd00:ec2::254", "fe80::1", "100.100.100.200"])(
    "is not read from a name that leads to %s",
    async (address) => {
      await using one = await scene(size, (port) => `http://storage.example:${port}/x`);
      await expect(one.read(resolver(["127.0.0.1", address]))).rejects.toMatchObject({
        code: "REDIRECT_REFUSED",
      });
      expect(one.visits()).toBe(0);
    },
  );

  test.for(["169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal"])(
    "is not read from %s",
    async (host) => {
      await using one = await scene(size, () => `http://${host}/latest/meta-data`);
      await expect(one.read()).rejects.toMatchObject({ code: "REDIRECT_REFUSED" });
    },
  );

  test("is not read when the name leads elsewhere the second time", async () => {
    await using one = await scene(size, (port) => `http://storage.example:${port}/x`);
    const resolve = resolver(["127.0.0.1"], ["169.254.169.254"]);
    expect(await one.read(resolve)).toBe(size);
    await expect(one.read(resolve)).rejects.toMatchObject({ code: "REDIRECT_REFUSED" });
    // each address that was connected to was checked: one question, one connection
    expect({ asked: resolve.asked, visits: one.visits() }).toEqual({
      asked: ["storage.example", "storage.example"],
      visits: 1,
    });
  });
});

type Rule = {
  readonly registry: readonly string[];
  readonly allowed: readonly AddressClass[];
};

test.for<Rule>([
  { registry: ["203.0.113.1"], allowed: ["public"] },
  { registry: ["10.0.0.1"], allowed: ["public", "private"] },
  { registry: ["10.0.0.1", "2606:4700::1"], allowed: ["public", "private"] },
  { registry: ["127.0.0.1", "::1"], allowed: ["public", "private", "loopback"] },
  { registry: ["169.254.1.1"], allowed: ["public", "private", "link"] },
  // an additional address of this machine does not allow the redirect
  { registry: ["203.0.113.1", "127.0.0.1"], allowed: ["public", "private"] },
  { registry: ["10.0.0.1", "169.254.169.254"], allowed: ["public", "private"] },
  { registry: [], allowed: ["public"] },
])("lets a registry at $registry send us to $allowed", async ({ registry, allowed }) => {
  const guard = openRedirectGuard(new URL("https://registry.example/"), resolver(registry));
  const all = ["public", "private", "loopback", "link"] as const;
  const mays = await Promise.all(all.map(async (to) => ((await guard.allows(to)) ? [to] : [])));
  expect(mays.flat()).toEqual(allowed);
});

test("counts a registry whose name does not resolve here as public", async () => {
  const guard = openRedirectGuard(new URL("https://registry.example/"), async () => {
    throw new Error("ENOTFOUND");
  });
  expect([await guard.allows("public"), await guard.allows("private")]).toEqual([true, false]);
});
