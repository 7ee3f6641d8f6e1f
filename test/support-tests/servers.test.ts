import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { digestOf } from "../../src/oci/digest.ts";
import { ask } from "../support/ask.ts";
import { makeAuthority } from "../support/certificates.ts";
import { buildIndex, pushTo } from "../support/images/images.ts";
import { status } from "../support/registry/faults.ts";
import { startRegistry } from "../support/registry/registry.ts";
import { makeCertificates, PASSWORD, skopeo, startDockerRegistry, USERNAME } from "../support/servers.ts";

const CREDENTIALS = `${USERNAME}:${PASSWORD}`;
const IMAGE = buildIndex({ seed: "servers" });
const INDEX = Buffer.from(IMAGE.manifest.bytes);

async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "tagferry-servers-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

describe("skopeo", () => {
  test("copies an index out of the test registry into docker-registry, byte for byte", async () => {
    await using source = await startRegistry();
    await using target = await startDockerRegistry();
    await pushTo(source, "library/index", IMAGE, "v1");
    await skopeo([
      "copy",
      "--all",
      "--src-tls-verify=false",
      "--dest-tls-verify=false",
      `docker://${source.host}/library/index:v1`,
      `docker://${target.host}/copied/index:v1`,
    ]);
    const raw = await skopeo([
      "inspect",
      "--raw",
      "--tls-verify=false",
      `docker://${target.host}/copied/index:v1`,
    ]);
    expect(raw).toEqual(INDEX);
    expect(source.ledger.find({ status: 500 })).toEqual([]);
  });

  test("copies an index into the test registry, which then has everything under it", async () => {
    await using source = await startRegistry();
    await using target = await startRegistry({
      auth: { kind: "bearer", username: USERNAME, password: PASSWORD },
    });
    await pushTo(source, "library/index", IMAGE, "v1");
    await skopeo([
      "copy",
      "--all",
      "--src-tls-verify=false",
      "--dest-tls-verify=false",
      `--dest-creds=${CREDENTIALS}`,
      `docker://${source.host}/library/index:v1`,
      `docker://${target.host}/copied/index:v1`,
    ]);
    expect(target.digestOf("copied/index", "v1")).toBe(IMAGE.manifest.digest);
    expect(target.missing("copied/index", IMAGE.manifest.digest)).toEqual([]);
    const tagged = target.ledger.find({ method: "PUT", reference: "v1", status: 201 }).at(0)?.sequence ?? 0;
    expect(
      target.ledger.entries.every(({ method, sequence }) => method !== "PATCH" || sequence < tagged),
    ).toBe(true);
  });

  test("fails with what it said", async () => {
    await using registry = await startRegistry();
    const inspect = skopeo(["inspect", "--tls-verify=false", `docker://${registry.host}/no/such:tag`]);
    await expect(inspect).rejects.toThrow(/skopeo inspect .*manifest unknown/s);
  });
});

describe("docker-registry", () => {
  test.for([
    { auth: "htpasswd", tls: false },
    { auth: "htpasswd", tls: true },
    { auth: "bearer", tls: false },
    { auth: "bearer", tls: true },
  ] as const)("with %o lets in who has the password, and nobody else", async (options) => {
    const { ca, trustDirectory } = await makeCertificates();
    await using registry = await startDockerRegistry(options);
    const closed = await ask("GET", `${registry.url}/v2/`, { tls: { ca: ca.cert } });
    expect(closed.status).toBe(401);
    const scheme = options.auth === "bearer" ? "Bearer realm=" : "Basic realm=";
    expect(closed.headers["www-authenticate"]).toContain(scheme);
    await using source = await startRegistry();
    await pushTo(source, "a/b", IMAGE, "v1");
    const copy = (creds: string): Promise<Buffer> =>
      skopeo([
        "copy",
        "--src-tls-verify=false",
        `--dest-tls-verify=${options.tls}`,
        `--dest-cert-dir=${trustDirectory}`,
        `--dest-creds=${creds}`,
        `docker://${source.host}/a/b:v1`,
        `docker://${registry.host}/a/b:v1`,
      ]);
    await expect(copy(`${USERNAME}:wrong`)).rejects.toThrow(/unauthorized|authentication required|denied/i);
    await copy(CREDENTIALS);
    expect(registry.tokens?.ledger.count({ status: 200 }) ?? 0).toBeGreaterThanOrEqual(
      options.auth === "bearer" ? 1 : 0,
    );
  });

  test("keeps its content in a directory over a kill", async () => {
    await using directory = await temporaryDirectory();
    const bytes = Buffer.from("kept");
    const first = await startDockerRegistry({ storage: { directory: directory.path } });
    const { headers } = await ask("POST", `${first.url}/v2/a/b/blobs/uploads/`);
    await ask("PUT", `${headers.location ?? ""}&digest=${digestOf(bytes)}`, { body: bytes });
    await first.kill();
    await expect(ask("GET", `${first.url}/v2/`)).rejects.toThrow(/ECONNREFUSED/);
    await first[Symbol.asyncDispose]();
    await using second = await startDockerRegistry({ storage: { directory: directory.path } });
    expect((await ask("GET", `${second.url}/v2/a/b/blobs/${digestOf(bytes)}`)).body).toEqual(bytes);
  });

  test.for([
    [{ deleteEnabled: false }, "DELETE", `/v2/a/b/blobs/${digestOf(Buffer.from("x"))}`],
    [{ readOnly: true }, "POST", "/v2/a/b/blobs/uploads/"],
  ] as const)("with %o answers %s by 405", async ([options, method, path]) => {
    await using registry = await startDockerRegistry(options);
    expect((await ask(method, `${registry.url}${path}`)).status).toBe(405);
  });

  test("can have a token server that misbehaves", async () => {
    await using registry = await startDockerRegistry({ auth: "bearer" });
    registry.tokens?.on({ kind: "token", always: true }, status(503));
    const inspect = skopeo([
      "inspect",
      "--tls-verify=false",
      `--creds=${CREDENTIALS}`,
      "--retry-times=0",
      `docker://${registry.host}/a/b:v1`,
    ]);
    await expect(inspect).rejects.toThrow(/503/);
  });
});

describe("certificates", () => {
  test("are for localhost and 127.0.0.1, and of one CA", async () => {
    const { server, ca } = await makeCertificates();
    await using registry = await startRegistry({ tls: server });
    const numeric = registry.url.replace("localhost", "127.0.0.1");
    for (const url of [registry.url, numeric])
      expect((await ask("GET", `${url}/v2/`, { tls: { ca: ca.cert } })).status).toBe(200);
  });

  test.for([
    ["expired", { expired: true }, /expired/],
    ["elsewhere", { hosts: ["registry.elsewhere.test"] }, /altnames|Hostname/],
  ] as const)("can be %s", async ([name, options, message]) => {
    const certificates = await makeCertificates();
    await using registry = await startRegistry({ tls: await certificates.issue(name, options) });
    const asked = ask("GET", `${registry.url}/v2/`, { tls: { ca: certificates.ca.cert } });
    await expect(asked).rejects.toThrow(message);
  });

  test("can be of a CA nobody knows", async () => {
    const { ca } = await makeCertificates();
    const stranger = await makeAuthority("Stranger");
    await using registry = await startRegistry({ tls: stranger.server });
    await expect(ask("GET", `${registry.url}/v2/`, { tls: { ca: ca.cert } })).rejects.toThrow(/certificate/);
  });
});
