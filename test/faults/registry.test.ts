import { get } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

import { expect, test } from "vitest";

import { makeCertificates } from "../support/certificates.ts";
import { digestOf } from "./content/content.ts";
import { artifact, image, layerPool } from "./content/images.ts";
import { FAULTS, NAMES, numberOf } from "./inject/catalogue.ts";
import type { Fault } from "./inject/fault.ts";
import { injector, type Rule } from "./inject/injector.ts";
import { ledger, type Ledger } from "./ledger.ts";
import { randomOf } from "./random.ts";
import type { RegistryRules } from "./registry/rules.ts";
import { type Registry, startRegistry } from "./registry/server.ts";

/** Without a fault, this registry conforms to the distribution specification. Each fault can be injected. */

const RULES: RegistryRules = {
  referrersApi: true,
  referrersPage: 1,
  tagsPage: 2,
  mounts: true,
  proves: true,
  unknownStatus: 404,
  relativeLocations: false,
  singlePost: false,
  auth: "none",
  losesConcurrentReferrers: false,
  digestHeaders: true,
  tls: false,
};

type Started = { readonly registry: Registry; readonly book: Ledger; readonly url: (path: string) => string };

async function started(
  stack: AsyncDisposableStack,
  rules: Partial<RegistryRules> = {},
  faults: readonly Rule[] = [],
): Promise<Started> {
  const random = randomOf("registry");
  const book = ledger();
  const registry = stack.use(
    await startRegistry({
      side: "target",
      rules: { ...RULES, ...rules },
      injector: injector(faults, random, book),
      random,
      ledger: book,
      onRequest: () => undefined,
      onMove: () => undefined,
    }),
  );
  return { registry, book, url: (path) => `http://${registry.host}${path}` };
}

async function upload(url: string, bytes: Buffer, digest: string): Promise<Response> {
  const opened = await fetch(url, { method: "POST" });
  expect(opened.status).toBe(202);
  const location = new URL(opened.headers.get("location") ?? "", url);
  return fetch(`${location.href}&digest=${encodeURIComponent(digest)}`, {
    method: "PUT",
    body: new Uint8Array(bytes),
  });
}

test("what is pushed in one piece or in chunks is pulled again, whole and in part", async () => {
  await using stack = new AsyncDisposableStack();
  const { url } = await started(stack);
  const bytes = randomOf("blob").bytes(1_000);
  const digest = digestOf(bytes);
  expect((await upload(url("/v2/app/blobs/uploads/"), bytes, digest)).status).toBe(201);

  const chunked = await fetch(url("/v2/other/blobs/uploads/"), { method: "POST" });
  let location = chunked.headers.get("location") ?? "";
  for (const [from, to] of [
    [0, 400],
    [400, 1_000],
  ] as const) {
    const patched = await fetch(location, {
      method: "PATCH",
      headers: { "content-range": `${from}-${to - 1}` },
      body: new Uint8Array(bytes.subarray(from, to)),
    });
    expect([patched.status, patched.headers.get("range")]).toEqual([202, `0-${to - 1}`]);
    location = patched.headers.get("location") ?? "";
  }
  expect((await fetch(`${location}&digest=${digest}`, { method: "PUT" })).status).toBe(201);

  const part = await fetch(url(`/v2/other/blobs/${digest}`), { headers: { range: "bytes=900-" } });
  expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 900-999/1000"]);
  expect(Buffer.from(await part.arrayBuffer())).toEqual(bytes.subarray(900));
});

test("bytes under a wrong digest are refused and remembered, and so is a stale session", async () => {
  await using stack = new AsyncDisposableStack();
  const { url, registry } = await started(stack);
  const wrong = digestOf(Buffer.from("other"));
  expect((await upload(url("/v2/app/blobs/uploads/"), Buffer.from("these"), wrong)).status).toBe(400);
  expect(registry.wrongUploads).toHaveLength(1);
  const stale = await fetch(url("/v2/app/blobs/uploads/u9?_state=s0%3D%3D&digest=x"), { method: "PUT" });
  expect(stale.status).toBe(404);
});

test("a manifest whose blobs are absent is refused by a registry that proves, and a mount makes them present", async () => {
  await using stack = new AsyncDisposableStack();
  const { url, registry } = await started(stack);
  const content = image(randomOf("image"), layerPool(randomOf("pool"), false));
  const [top] = content.manifests;
  const put = (): Promise<Response> =>
    fetch(url("/v2/app/manifests/v1"), {
      method: "PUT",
      headers: { "content-type": top?.manifest.mediaType ?? "" },
      body: new Uint8Array(top?.manifest.bytes ?? []),
    });
  expect((await put()).status).toBe(404);
  registry.repository("other").add(content);
  for (const { digest } of content.blobs) {
    const mounted = await fetch(url(`/v2/app/blobs/uploads/?mount=${digest}&from=other`), { method: "POST" });
    expect(mounted.status).toBe(201);
  }
  expect((await put()).status).toBe(201);
  expect(registry.repository("app").tags.get("v1")).toBe(content.top.digest);
});

test("tags and referrers come in pages", async () => {
  await using stack = new AsyncDisposableStack();
  const { url, registry } = await started(stack);
  const repo = registry.repository("app");
  const content = image(randomOf("image"), layerPool(randomOf("pool"), false));
  repo.add(content);
  for (const tag of ["a", "b", "c"]) repo.setTag(tag, content.top.digest);
  const first = await fetch(url("/v2/app/tags/list"));
  expect(await first.json()).toEqual({ name: "app", tags: ["a", "b"] });
  const next = /<(.*)>/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
  const second = await fetch(url(next));
  expect([await second.json(), second.headers.get("link")]).toEqual([{ name: "app", tags: ["c"] }, null]);

  for (const label of ["one", "two"]) repo.add(artifact(randomOf(label), content.top));
  const page = await fetch(url(`/v2/app/referrers/${content.top.digest}`));
  expect([
    ((await page.json()) as { manifests: unknown[] }).manifests.length,
    page.headers.has("link"),
  ]).toEqual([1, true]);
});

test("a registry with tokens refuses who has none, and gives them at its realm", async () => {
  await using stack = new AsyncDisposableStack();
  const { url } = await started(stack, { auth: "bearer" });
  const refused = await fetch(url("/v2/app/tags/list"));
  expect(refused.status).toBe(401);
  const realm = /realm="([^"]+)"/.exec(refused.headers.get("www-authenticate") ?? "")?.[1] ?? "";
  const given = await fetch(realm, {
    headers: { authorization: `Basic ${Buffer.from("robot:opensesame").toString("base64")}` },
  });
  const { token } = (await given.json()) as { token: string };
  expect(
    (await fetch(url("/v2/app/tags/list"), { headers: { authorization: `Bearer ${token}` } })).status,
  ).toBe(404);
});

test("with TLS it shows a certificate of the tests' authority, and the connection below can be reset", async () => {
  await using stack = new AsyncDisposableStack();
  const fault = faultNamed("resets without an answer");
  const rule: Rule = { fault, routes: ["tags"], pattern: { kind: "always" } };
  const { registry } = await started(stack, { tls: true }, [rule]);
  const { ca } = await makeCertificates();
  const ask = (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      get(`https://${registry.host}${path}`, { ca: ca.cert }, ({ statusCode }) => resolve(statusCode)).on(
        "error",
        reject,
      );
    });
  expect(await ask("/v2/")).toBe(200);
  await expect(ask("/v2/app/tags/list")).rejects.toMatchObject({ code: "ECONNRESET" });
});

test("every fault and event has a name and a number of its own", () => {
  const numbers = NAMES.map(numberOf);
  expect(numbers).toEqual(numbers.map((_, at) => at + 1));
});

function faultNamed(name: string): Fault {
  const fault = FAULTS.find((each) => each.name === name);
  if (fault === undefined) throw new Error(`there is no fault "${name}"`);
  return fault;
}

const WAY: Partial<Record<string, readonly [method: string, path: string]>> = {
  "manifest-get": ["GET", "/v2/app/manifests/v1"],
  "manifest-head": ["HEAD", "/v2/app/manifests/v1"],
  "manifest-put": ["PUT", "/v2/app/manifests/v2"],
  "blob-get": ["GET", "/v2/app/blobs/DIGEST"],
  "blob-head": ["HEAD", "/v2/app/blobs/DIGEST"],
  "upload-post": ["POST", "/v2/app/blobs/uploads/?mount=DIGEST&from=none"],
  "upload-patch": ["PATCH", "/v2/app/blobs/uploads/u1"],
  "upload-put": ["PUT", "/v2/app/blobs/uploads/u1?digest=DIGEST"],
  tags: ["GET", "/v2/app/tags/list"],
  referrers: ["GET", "/v2/app/referrers/DIGEST"],
  token: ["GET", "/token"],
};

test.each(FAULTS.map((fault) => [fault.name, fault] as const))(
  "%s strikes, is counted, and ends with the client",
  async (name, fault) => {
    await using stack = new AsyncDisposableStack();
    const rule: Rule = { fault, routes: fault.routes, pattern: { kind: "some", from: 1, count: 1 } };
    const { url, book, registry } = await started(
      stack,
      name === "the token has ended" ? { auth: "bearer" } : {},
      [rule],
    );
    const content = image(randomOf("image"), layerPool(randomOf("pool"), false));
    registry.repository("app").add(content);
    registry.repository("app").setTag("v1", content.top.digest);
    await provoke(fault, (path) => url(path.replaceAll("DIGEST", content.blobs[0]?.digest ?? "")));
    await expect.poll(() => book.faults.get(name)).toBe(1);
  },
);

async function provoke({ routes }: Fault, url: (path: string) => string): Promise<void> {
  const [method, path] = WAY[routes[0] ?? ""] ?? ["GET", "/v2/"];
  const body = method === "PUT" || method === "PATCH" ? { body: "{}" } : {};
  const asked = fetch(url(path), {
    method,
    headers: { accept: "*/*", range: "bytes=0-" },
    redirect: "manual",
    signal: AbortSignal.timeout(200),
    ...body,
  });
  // the answer depends on the fault: here the request only has to end
  await asked.then((response) => response.arrayBuffer()).catch(() => undefined);
  await sleep(0);
}
