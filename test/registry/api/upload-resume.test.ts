import { describe, expect, test } from "vitest";

import type { Content } from "../../../src/oci/store.ts";
import type { RegistryOptions } from "../../../src/registry/registry.ts";
import { seededBytes } from "../../support/images/content.ts";
import { describing, readAll, reusing } from "../../support/port.ts";
import type { Behaviour } from "../../support/registry/behaviour.ts";
import { loggedIn, registryClient } from "../../support/registry/client.ts";
import { interruptedUpload, reset } from "../../support/registry/connection-faults.ts";
import { afterwards, normally, rateLimited, registryError, status } from "../../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../../support/registry/registry.ts";
import type { Fault } from "../../support/registry/rules.ts";
import { startRelay } from "../../support/relay.ts";
import { startDockerRegistry } from "../../support/servers.ts";

const MIB = 1024 * 1024;
const BYTES = seededBytes("resumed", 3.5 * MIB);
const BLOB = describing(BYTES);
const HALF = 0.5 * MIB;

type Push = { readonly openedAt: number[]; readonly told: number; readonly how: string };

/** Pushes a blob of 3.5 MiB in parts of one, and returns the offsets at which its content was opened. */
async function push(host: string, options: Partial<RegistryOptions> = {}): Promise<Push> {
  await using client = registryClient(host, options);
  const openedAt: number[] = [];
  let told = 0;
  const open = (fromBytes: number): Content => {
    openedAt.push(fromBytes);
    return reusing(BYTES.subarray(fromBytes), 64 * 1024);
  };
  const onBytes = (bytes: number): void => void (told += bytes);
  const { how } = await client.repository("a/b").pushBlob(BLOB, open, { onBytes });
  expect(Buffer.compare(await readAll(client.repository("a/b").blob(BLOB)), BYTES)).toBe(0);
  return { openedAt, told, how };
}

function inParts(behaviour: Partial<Behaviour> = {}): Promise<TestRegistry> {
  return startRegistry({ behaviour: { chunkMaxBytes: MIB, ...behaviour } });
}

/** The requests of an upload, in order: `PATCH 0-1048575`, `GET`, … */
function asked({ ledger }: TestRegistry): string[] {
  return ledger.entries
    .filter(({ kind }) => kind === "upload")
    .map(({ method, headers }) => [method, headers["content-range"]].filter(Boolean).join(" "));
}

const part = (from: number, to: number): string => `PATCH ${from * MIB}-${to * MIB - 1}`;

describe("an upload in parts that breaks", () => {
  test.for([
    ["that tells how far it came", "right"],
    ["that writes the unit, one more, and no Location", "bytes"],
  ] as const)("goes on where it broke at a registry %s", async ([, uploadStatus]) => {
    await using registry = await inParts({ uploadStatus });
    registry.on({ method: "PATCH" }, normally, interruptedUpload(HALF));
    // the source is read again from the last checkpoint, not from its start
    expect(await push(registry.host)).toEqual({ openedAt: [0, MIB], told: BLOB.size, how: "pushed" });
    expect(asked(registry)).toEqual([
      "POST",
      part(0, 1),
      part(1, 2),
      "GET",
      part(1.5, 2.5),
      part(2.5, 3.5),
      "PUT",
    ]);
  });

  test.for([
    ["has lost it", { brokenPatch: "drop" }],
    ["does not tell", { uploadStatus: "none" }],
    ["tells less than it acknowledged", { uploadStatus: "stuck" }, 2],
  ] as const)("starts over at a registry that %s", async ([, behaviour, whole = 1]) => {
    await using registry = await inParts(behaviour);
    const faults: Fault[] = Array.from({ length: whole }, () => normally);
    registry.on({ method: "PATCH" }, ...faults, interruptedUpload(HALF));
    expect(await push(registry.host)).toEqual({ openedAt: [0, 0], told: BLOB.size, how: "pushed" });
    expect(registry.ledger.count({ method: "POST" })).toBe(2);
  });

  test.for([
    ["the connection is refused", reset()],
    ["the answer is lost", reset({ handled: true })],
    ["a gateway has no registry for a moment", status(502)],
    ["the registry says how far it is", registryError(416, "RANGE_INVALID")],
  ] as const)("goes on when %s", async ([, fault]) => {
    await using registry = await inParts();
    registry.on({ method: "PATCH" }, normally, normally, fault);
    const { openedAt, told } = await push(registry.host);
    expect(openedAt[0]).toBe(0);
    expect(openedAt[1]).toBeGreaterThanOrEqual(2 * MIB);
    expect(told).toBe(BLOB.size);
    expect(registry.ledger.count({ method: "POST" })).toBe(1);
    expect(registry.ledger.count({ method: "DELETE" })).toBe(0);
  });

  test("goes on no sooner than a registry says that has no time now", async () => {
    await using registry = await inParts();
    registry.on({ method: "PATCH" }, normally, status(503, { headers: { "retry-after": "1" } }));
    expect(await push(registry.host)).toMatchObject({ told: BLOB.size });
    const [refused] = registry.ledger.find({ status: 503 });
    const next = registry.ledger.entries.find(({ sequence }) => sequence === (refused?.sequence ?? 0) + 1);
    expect(next?.method).toBe("GET");
    expect((next?.at ?? 0) - (refused?.at ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test("goes on with a fresh token when the old one is no longer good", async () => {
    await using registry = await startRegistry({
      behaviour: { chunkMaxBytes: MIB },
      auth: { kind: "bearer", username: "u", password: "p" },
    });
    registry.on(
      { method: "PATCH" },
      afterwards(() => registry.revokeTokens()),
    );
    const { openedAt, told } = await push(registry.host, { credentials: loggedIn("u", "p") });
    expect({ openedAt, told }).toEqual({ openedAt: [0, MIB], told: BLOB.size });
    expect(registry.ledger.count({ method: "PATCH", status: 401 })).toBe(1);
    expect(registry.ledger.count({ kind: "upload", method: "DELETE" })).toBe(0);
  });

  test("goes on more than once", async () => {
    await using registry = await inParts();
    registry.on({ method: "PATCH" }, ...Array.from({ length: 6 }, () => interruptedUpload(HALF)));
    const { openedAt, told } = await push(registry.host);
    expect(openedAt).toEqual([0, 0, 1, 1, 2, 2, 3].map((mebibytes) => mebibytes * MIB));
    expect(told).toBe(BLOB.size);
    expect(registry.ledger.count({ method: "POST" })).toBe(1);
  });

  test("closes what was complete already, and sends nothing again", async () => {
    await using registry = await inParts();
    registry.on({ method: "PUT" }, reset());
    expect(await push(registry.host)).toMatchObject({ told: BLOB.size, how: "pushed" });
    expect(asked(registry)).toEqual([
      "POST",
      part(0, 1),
      part(1, 2),
      part(2, 3),
      part(3, 3.5),
      "PUT",
      "GET",
      "PUT",
    ]);
  });

  test("gives up on a registry that takes nothing, after so many requests", async () => {
    await using registry = await inParts();
    registry.on({ method: "PATCH", always: true }, reset());
    await expect(push(registry.host)).rejects.toMatchObject({ code: "REGISTRY_UNREACHABLE" });
    expect(registry.ledger.count({ method: "POST" })).toBe(3);
    expect(registry.ledger.count({ method: "PATCH" })).toBe(6);
  });

  test("is never completed with other bytes, when the source has others the second time", async () => {
    await using registry = await inParts();
    registry.on({ method: "PATCH" }, normally, interruptedUpload(HALF));
    await using client = registryClient(registry.host);
    const other = seededBytes("other", BLOB.size);
    const open = (fromBytes: number): Content =>
      reusing((fromBytes === 0 ? BYTES : other).subarray(fromBytes));
    await expect(client.repository("a/b").pushBlob(BLOB, open)).rejects.toMatchObject({
      code: "DIGEST_MISMATCH",
    });
    expect(registry.ledger.count({ method: "PUT" })).toBe(0);
    expect(registry.hasBlob("a/b", BLOB.digest)).toBe(false);
  });

  test("is not asked about when it was the source that broke", async () => {
    await using registry = await inParts();
    await using client = registryClient(registry.host);
    const pushing = client.repository("a/b").pushBlob(BLOB, () => reusing(BYTES.subarray(0, 2 * MIB)));
    await expect(pushing).rejects.toMatchObject({ code: "BLOB_SHORT" });
    expect(asked(registry).filter((request) => request === "GET")).toEqual([]);
  });
});

describe("a whole blob that the registry cannot take just now", () => {
  test.for([
    ["is limited", rateLimited(1)],
    ["is unavailable", status(503, { headers: { "retry-after": "1" } })],
  ] as const)("is sent again when it %s, not before the time it names", async ([, refusal]) => {
    await using registry = await startRegistry();
    registry.on({ method: "PUT" }, refusal);
    expect(await push(registry.host)).toEqual({ openedAt: [0, 0], told: BLOB.size, how: "pushed" });
    const [first, again] = registry.ledger.find({ method: "POST" });
    const [refused] = registry.ledger.find({ method: "PUT" });
    expect(first).toBeDefined();
    expect((again?.at ?? 0) - (refused?.endedAt ?? Infinity)).toBeGreaterThan(900);
  });

  test("is left when the registry names a time that nobody waits for", async () => {
    await using registry = await startRegistry();
    registry.on({ method: "PUT" }, status(503, { headers: { "retry-after": "3600" } }));
    await expect(push(registry.host)).rejects.toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
    expect(registry.ledger.count({ method: "POST" })).toBe(1);
  });
});

describe("an upload to docker-registry, behind a proxy that takes 10 MiB at once, that breaks", () => {
  const bytes = seededBytes("to docker-registry", 20 * MIB);

  test.for([
    ["between two parts, goes on with the next", 0, [0, 0, 8 * MIB], 2],
    // distribution compares the state in the address with its file, and no longer knows the session
    ["within a part, starts over", 2 * MIB, [0, 0, 0], 3],
  ] as const)("%s", async ([, throughBytes, expected, sessions]) => {
    await using registry = await startDockerRegistry();
    await using relay = await startRelay(registry.host, {
      bodyLimitBytes: 10 * MIB,
      cut: { method: "PATCH", nth: 2, throughBytes },
    });
    await using client = registryClient(relay.host);
    const openedAt: number[] = [];
    const open = (fromBytes: number): Content => {
      openedAt.push(fromBytes);
      return reusing(bytes.subarray(fromBytes), 64 * 1024);
    };
    const { how } = await client.repository("a/b").pushBlob(describing(bytes), open);
    expect({ how, openedAt, sessions: relay.count("POST") }).toEqual({
      how: "pushed",
      openedAt: expected,
      sessions,
    });
    await using direct = registryClient(registry.host);
    const kept = await readAll(direct.repository("a/b").blob(describing(bytes)));
    expect(Buffer.compare(kept, bytes)).toBe(0);
  });
});
