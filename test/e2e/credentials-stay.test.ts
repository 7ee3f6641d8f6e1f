import { createServer } from "node:http";

import { describe, expect, onTestFinished, test } from "vitest";

import { copyImage } from "../../src/copy/copy.ts";
import type { ErrorCode } from "../../src/errors/codes.ts";
import { isTagferryError } from "../../src/errors/error.ts";
import { inProcessLease } from "../../src/limits/in-process-lease.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import { makeCertificates } from "../support/certificates.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import type { AuthOptions } from "../support/registry/auth.ts";
import { loggedIn, registryClient } from "../support/registry/client.ts";
import { acceptsEverything, header, redirect, registryError } from "../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";

const REPOSITORY = "library/app";
const PASSWORD = "canary-secret";
const AUTHS: readonly AuthOptions[] = [
  { kind: "basic", username: "u", password: PASSWORD },
  { kind: "bearer", username: "u", password: PASSWORD },
];

type Scene = {
  readonly source: TestRegistry;
  readonly target: TestRegistry;
  /** Another party's server: another origin, which accepts everything. */
  readonly evil: TestRegistry;
};

/** Copies from one registry to another, logged in at both. Returns the result, and the requests to the other server. */
async function copied(
  auth: AuthOptions,
  misbehave: (scene: Scene) => void,
  { referrers = false }: { referrers?: boolean } = {},
): Promise<Scene & { readonly code: ErrorCode | "done"; readonly published: boolean }> {
  const [source, target, evil] = await Promise.all([
    startRegistry({ auth }),
    startRegistry({ auth }),
    startRegistry(),
  ]);
  for (const one of [source, target, evil]) onTestFinished(() => one[Symbol.asyncDispose]());
  const image = await pushTo(source, REPOSITORY, buildImage({ seed: "stay", layers: [100_000] }), "1");
  const credentials = loggedIn("u", PASSWORD);
  await using from = registryClient(source.host, { credentials });
  await using to = registryClient(target.host, { credentials });
  misbehave({ source, target, evil });
  const code = await Array.fromAsync(
    copyImage({ digest: image.manifest.digest }, from.repository(REPOSITORY), to.repository(REPOSITORY), {
      tag: "1",
      referrers,
      lease: inProcessLease(),
    }),
  ).then(
    () => "done" as const,
    (error: unknown) => {
      if (isTagferryError(error)) return error.code;
      throw error;
    },
  );
  return { source, target, evil, code, published: target.digestOf(REPOSITORY, "1") !== undefined };
}

/** Checks that nothing was sent there: no authentication header, no secret, no content. */
function expectNothingOfOurs({ ledger }: TestRegistry): void {
  for (const { headers, authorization, requestBytes, path, query } of ledger.entries) {
    expect(authorization).toBeUndefined();
    expect(headers["cookie"]).toBeUndefined();
    expect(requestBytes).toBe(0);
    expect(JSON.stringify([headers, path, query])).not.toMatch(/canary|token-|Y2FuYXJ5/);
  }
}

describe.for(AUTHS)("logged in by $kind", (auth) => {
  test("T1 a realm on another host gets no request: AUTH_REALM", async () => {
    const { evil, code, published } = await copied(auth, ({ source, evil: { url } }) => {
      const realm = url.replace("127.0.0.1", "localhost");
      source.on(
        { always: true },
        registryError(401, "UNAUTHORIZED", {
          headers: { "www-authenticate": `Bearer realm="${realm}/token",service="x"` },
        }),
      );
    });
    expect({ code, published, asked: evil.ledger.count() }).toEqual({
      code: "AUTH_REALM",
      published: false,
      asked: 0,
    });
  });

  test.for(["Basic realm=x", 'Bearer realm="http://127.0.0.1:1/token"'])(
    "T2 a stranger that blobs are redirected to asks for %s in vain",
    async (challenge) => {
      const { evil, published } = await copied(auth, ({ source, evil: stranger }) => {
        source.on({ kind: "blob", always: true, authorized: true }, redirect(`${stranger.url}/elsewhere`));
        stranger.on(
          { always: true },
          registryError(401, "UNAUTHORIZED", {
            headers: { "www-authenticate": challenge, "set-cookie": "session=1" },
          }),
        );
      });
      expect(published).toBe(false);
      expect(evil.ledger.count()).toBeGreaterThan(0);
      expectNothingOfOurs(evil);
    },
  );

  test("T2 a stranger that has the blob may give it, and learns nothing", async () => {
    const { evil, code, published } = await copied(auth, ({ source, evil: stranger }) => {
      stranger.on({ always: true }, ({ path }) => ({
        status: 200,
        headers: { "content-type": "application/octet-stream" },
        body: source.store.blobs.get(parseDigest(path.slice(1))) ?? Buffer.of(),
      }));
      source.on({ kind: "blob", method: "GET", always: true, authorized: true }, (request) => ({
        status: 307,
        headers: { location: `${stranger.url}/${request.reference}` },
      }));
    });
    expect({ code, published }).toEqual({ code: "done", published: true });
    expect(evil.ledger.count()).toBeGreaterThan(0);
    expectNothingOfOurs(evil);
  });

  test("T3 an upload that is sent to another host stays here: UPLOAD_LOCATION", async () => {
    const { evil, code, published } = await copied(auth, ({ target, evil: stranger }) => {
      stranger.on({ always: true }, acceptsEverything);
      target.on(
        { method: "POST", always: true, authorized: true },
        header("location", `${stranger.url}/v2/x/blobs/uploads/1`),
      );
    });
    expect({ code, published, asked: evil.ledger.count() }).toEqual({
      code: "UPLOAD_LOCATION",
      published: false,
      asked: 0,
    });
  });

  test("T3 a redirected upload and a redirected manifest are not followed", async () => {
    for (const kind of ["upload", "manifest"] as const) {
      const { evil, published } = await copied(auth, ({ target, evil: stranger }) => {
        stranger.on({ always: true }, acceptsEverything);
        target.on({ method: "PUT", kind, always: true, authorized: true }, redirect(`${stranger.url}/take`));
      });
      expect({ published, asked: evil.ledger.count() }).toEqual({ published: false, asked: 0 });
    }
  });

  test("T4 the next page of a listing on another host: LINK_FOREIGN", async () => {
    const { source, evil } = await copied(auth, () => {});
    source.on(
      { kind: "tags", always: true, authorized: true },
      header("link", `<${evil.url}/v2/${REPOSITORY}/tags/list?last=1>; rel="next"`),
    );
    await using client = registryClient(source.host, { credentials: loggedIn("u", PASSWORD) });
    await expect(Array.fromAsync(client.repository(REPOSITORY).listing())).rejects.toMatchObject({
      code: "LINK_FOREIGN",
    });
    expect(evil.ledger.count()).toBe(0);
  });

  test("T4 the next page of referrers on another host: LINK_FOREIGN", async () => {
    const { evil, code, published } = await copied(
      auth,
      ({ source, evil: stranger }) =>
        source.on(
          { kind: "referrers", always: true, authorized: true },
          header("link", `<${stranger.url}/v2/${REPOSITORY}/referrers/x?page=2>; rel="next"`),
        ),
      { referrers: true },
    );
    expect({ code, published, asked: evil.ledger.count() }).toEqual({
      code: "LINK_FOREIGN",
      published: false,
      asked: 0,
    });
  });

  test("T4 the addresses of a foreign layer are not asked", async () => {
    const evil = await startRegistry();
    onTestFinished(() => evil[Symbol.asyncDispose]());
    const source = await startRegistry({ auth, behaviour: { verifyReferences: false } });
    onTestFinished(() => source[Symbol.asyncDispose]());
    const target = await startRegistry({ auth });
    onTestFinished(() => target[Symbol.asyncDispose]());
    const { manifest } = await pushTo(source, REPOSITORY, buildImage({ layers: [1000] }), "plain");
    const document = JSON.parse(Buffer.from(manifest.bytes).toString("utf8")) as { layers: object[] };
    const mediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    const away = { mediaType, digest: `sha256:${"a".repeat(64)}`, size: 9, urls: [`${evil.url}/layer`] };
    const bytes = Buffer.from(JSON.stringify({ ...document, layers: [...document.layers, away] }));
    const digest = source.putManifest(REPOSITORY, bytes, manifest.mediaType, "1");
    const credentials = loggedIn("u", PASSWORD);
    await using from = registryClient(source.host, { credentials });
    await using to = registryClient(target.host, { credentials });
    await Array.fromAsync(
      copyImage({ digest }, from.repository(REPOSITORY), to.repository(REPOSITORY), {
        tag: "1",
        referrers: false,
        lease: inProcessLease(),
      }),
    ).catch((error: unknown) => {
      if (!isTagferryError(error)) throw error;
    });
    expect(evil.ledger.count()).toBe(0);
  });
});

describe("T5 what began encrypted stays so", () => {
  test.for<[string, (url: string) => Parameters<TestRegistry["on"]>, ErrorCode]>([
    [
      "a realm without TLS",
      (url) => [
        { always: true },
        registryError(401, "UNAUTHORIZED", {
          headers: { "www-authenticate": `Bearer realm="${url}/token"` },
        }),
      ],
      "AUTH_REALM",
    ],
    [
      "a redirect without TLS",
      (url) => [{ kind: "manifest", always: true, authorized: true }, redirect(`${url}/v2/x`)],
      "REDIRECT_REFUSED",
    ],
  ])("%s", async ([, rule, code]) => {
    const { ca, server } = await makeCertificates();
    await using evil = await startRegistry();
    await using source = await startRegistry({
      tls: server,
      auth: { kind: "basic", username: "u", password: PASSWORD },
    });
    source.on(...rule(evil.url.replace("127.0.0.1", "localhost")));
    await using client = registryClient(source.host, {
      plainHttp: false,
      ca: ca.cert,
      credentials: loggedIn("u", PASSWORD),
    });
    await expect(client.repository(REPOSITORY).resolve("1")).rejects.toMatchObject({ code });
    expect(evil.ledger.count()).toBe(0);
  });

  test("a port that speaks no TLS is not asked without it: REGISTRY_TLS", async () => {
    let heard = "";
    const plain = createServer((request) => {
      heard += request.headers.authorization ?? request.url ?? "";
    });
    await new Promise<void>((listening) => plain.listen(0, "127.0.0.1", listening));
    onTestFinished(() => void plain.close());
    const address = plain.address();
    const port = typeof address === "object" ? address?.port : undefined;
    await using client = registryClient(`127.0.0.1:${port}`, {
      plainHttp: false,
      credentials: loggedIn("u", PASSWORD),
    });
    await expect(client.repository(REPOSITORY).resolve("1")).rejects.toMatchObject({ code: "REGISTRY_TLS" });
    expect(heard).toBe("");
  });
});
