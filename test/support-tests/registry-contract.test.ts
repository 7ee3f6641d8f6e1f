import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { type Digest, digestOf } from "../../src/oci/digest.ts";
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  MANIFEST_ACCEPT,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../src/oci/media-type.ts";
import { ask, errorCode, type Reply } from "../support/ask.ts";
import { DOCKER_REGISTRY } from "../support/registry/behaviour.ts";
import { startRegistry } from "../support/registry/registry.ts";
import { startDockerRegistry } from "../support/servers.ts";

const LAYER = Buffer.from("0123456789");
const CONFIG = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}');
const ABSENT = digestOf(Buffer.from("never pushed"));
const OCTETS = { "content-type": "application/octet-stream" };

const described = (mediaType: string, bytes: Uint8Array): Record<string, unknown> => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});

/** Unusual white space, to detect a registry that serialises JSON again. */
const written = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value, undefined, 3)}\n\n`);

const IMAGE = written({
  schemaVersion: 2,
  mediaType: OCI_MANIFEST,
  config: described(OCI_CONFIG, CONFIG),
  layers: [described("application/vnd.oci.image.layer.v1.tar", LAYER)],
});
const DOCKER_IMAGE = written({
  schemaVersion: 2,
  mediaType: DOCKER_MANIFEST,
  config: described("application/vnd.docker.container.image.v1+json", CONFIG),
  layers: [described("application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER)],
});
const AMD64 = { platform: { os: "linux", architecture: "amd64" } };
const indexOf = (mediaType: string, child: Record<string, unknown>): Buffer =>
  written({ schemaVersion: 2, mediaType, manifests: [{ ...child, ...AMD64 }] });

/** What every registry must do, tested against ours and against Debian's docker-registry. */
describe.each([
  { name: "the test registry", start: () => startRegistry() },
  {
    name: "the test registry as docker-registry",
    start: () => startRegistry({ behaviour: DOCKER_REGISTRY }),
  },
  { name: "docker-registry", start: () => startDockerRegistry() },
])("$name", ({ name, start }) => {
  let url = "";
  let stop: AsyncDisposable | undefined;
  let count = 0;
  const newRepository = (): string => `contract/repository-${(count += 1)}`;

  beforeAll(async () => {
    const registry = await start();
    stop = registry;
    ({ url } = registry);
  });

  afterAll(() => stop?.[Symbol.asyncDispose]());

  const at = (path: string): string => new URL(path, url).href;

  /** The address of a new upload session. */
  const startUpload = async (repository: string): Promise<string> => {
    const { headers } = await ask("POST", `${url}/v2/${repository}/blobs/uploads/`);
    return at(headers.location ?? "");
  };

  const pushBlob = async (repository: string, bytes: Uint8Array): Promise<Reply> => {
    const session = await startUpload(repository);
    return ask("PUT", `${session}&digest=${digestOf(bytes)}`, { body: bytes, headers: OCTETS });
  };

  const putManifest = (
    repository: string,
    reference: string,
    bytes: Uint8Array,
    type: string,
  ): Promise<Reply> =>
    ask("PUT", `${url}/v2/${repository}/manifests/${reference}`, {
      body: bytes,
      headers: { "content-type": type },
    });

  const mount = (repository: string, digest: Digest, from?: string): Promise<Reply> =>
    ask(
      "POST",
      `${url}/v2/${repository}/blobs/uploads/?mount=${digest}${from === undefined ? "" : `&from=${from}`}`,
    );

  const listed = async (repository: string): Promise<unknown> => {
    const { body } = await ask("GET", `${url}/v2/${repository}/tags/list`);
    return JSON.parse(body.toString("utf8"));
  };

  const getManifest = (repository: string, reference: string, accept = MANIFEST_ACCEPT): Promise<Reply> =>
    ask("GET", `${url}/v2/${repository}/manifests/${reference}`, { headers: { accept } });

  /** A repository with both blobs. */
  const filled = async (): Promise<string> => {
    const repository = newRepository();
    for (const blob of [LAYER, CONFIG]) await pushBlob(repository, blob);
    return repository;
  };

  test("greets a ping", async () => {
    const { status, headers } = await ask("GET", `${url}/v2/`);
    expect(status).toBe(200);
    expect(headers["docker-distribution-api-version"]).toBe("registry/2.0");
  });

  test("sends a ping without its last slash there", async () => {
    const { status, headers } = await ask("GET", `${url}/v2`);
    expect({ status, location: headers.location }).toEqual({ status: 301, location: "/v2/" });
  });

  describe("uploads", () => {
    test("opens a session with POST", async () => {
      const repository = newRepository();
      const { status, headers, body } = await ask("POST", `${url}/v2/${repository}/blobs/uploads/`);
      expect(status).toBe(202);
      expect(headers.range).toBe("0-0");
      expect(headers["content-length"]).toBe("0");
      expect(headers.location).toMatch(
        `${url}/v2/${repository}/blobs/uploads/${String(headers["docker-upload-uuid"])}?`,
      );
      expect(body).toHaveLength(0);
    });

    test("takes a whole blob in the closing PUT", async () => {
      const repository = newRepository();
      const { status, headers } = await pushBlob(repository, LAYER);
      expect(status).toBe(201);
      expect(headers["docker-content-digest"]).toBe(digestOf(LAYER));
      expect(headers.location).toBe(`${url}/v2/${repository}/blobs/${digestOf(LAYER)}`);
    });

    test("takes an empty blob", async () => {
      const repository = newRepository();
      expect((await pushBlob(repository, Buffer.of())).status).toBe(201);
      const { body } = await ask("GET", `${url}/v2/${repository}/blobs/${digestOf(Buffer.of())}`);
      expect(body).toHaveLength(0);
    });

    test("tells after each PATCH how far it has come", async () => {
      const repository = newRepository();
      let session = await startUpload(repository);
      const first = await ask("PATCH", session, {
        body: LAYER.subarray(0, 4),
        headers: { ...OCTETS, "content-range": "0-3" },
      });
      expect({ status: first.status, range: first.headers.range }).toEqual({ status: 202, range: "0-3" });
      session = at(first.headers.location ?? "");
      const told = await ask("GET", session);
      expect({ status: told.status, range: told.headers.range }).toEqual({ status: 204, range: "0-3" });
      const second = await ask("PATCH", session, {
        body: LAYER.subarray(4),
        headers: { ...OCTETS, "content-range": "4-9" },
      });
      expect(second.headers.range).toBe("0-9");
      session = at(second.headers.location ?? "");
      expect((await ask("PUT", `${session}&digest=${digestOf(LAYER)}`)).status).toBe(201);
      const { body } = await ask("GET", `${url}/v2/${repository}/blobs/${digestOf(LAYER)}`);
      expect(body).toEqual(LAYER);
    });

    test("takes the last chunk with the closing PUT", async () => {
      const repository = newRepository();
      const { headers } = await ask("PATCH", await startUpload(repository), {
        body: LAYER.subarray(0, 4),
        headers: OCTETS,
      });
      const closed = await ask("PUT", `${at(headers.location ?? "")}&digest=${digestOf(LAYER)}`, {
        body: LAYER.subarray(4),
        headers: OCTETS,
      });
      expect(closed.status).toBe(201);
    });

    test("refuses content that is not its digest, and ends the session", async () => {
      const session = await startUpload(newRepository());
      const refused = await ask("PUT", `${session}&digest=${digestOf(LAYER)}`, { body: "something else" });
      expect({ status: refused.status, code: errorCode(refused) }).toEqual({
        status: 400,
        code: "DIGEST_INVALID",
      });
      const again = await ask("PUT", `${session}&digest=${digestOf(LAYER)}`, { body: LAYER });
      expect(again.status).toBe(404);
      expect(errorCode(again)).toMatch(/^BLOB_UPLOAD_(?:UNKNOWN|INVALID)$/);
    });

    test.for(["digest=sha256:zz", "digest="])("refuses a closing PUT with %s", async (query) => {
      const refused = await ask("PUT", `${await startUpload(newRepository())}&${query}`, { body: LAYER });
      expect({ status: refused.status, code: errorCode(refused) }).toEqual({
        status: 400,
        code: "DIGEST_INVALID",
      });
    });

    test("does not know a session that has ended", async () => {
      const session = await startUpload(newRepository());
      expect((await ask("PUT", `${session}&digest=${digestOf(LAYER)}`, { body: LAYER })).status).toBe(201);
      const gone = await ask("GET", session);
      expect({ status: gone.status, code: errorCode(gone) }).toEqual({
        status: 404,
        code: "BLOB_UPLOAD_UNKNOWN",
      });
    });

    test("wants the state of its Location back", async () => {
      const session = await startUpload(newRepository());
      const refused = await ask("PATCH", session.replace(/\?.*/, ""), { body: LAYER, headers: OCTETS });
      expect({ status: refused.status, code: errorCode(refused) }).toEqual({
        status: 404,
        code: "BLOB_UPLOAD_INVALID",
      });
    });

    test("cancels a session once", async () => {
      const session = await startUpload(newRepository());
      expect((await ask("DELETE", session)).status).toBe(204);
      expect((await ask("DELETE", session)).status).toBe(404);
    });

    test("answers a POST with digest by a session", async () => {
      const { status, headers } = await ask(
        "POST",
        `${url}/v2/${newRepository()}/blobs/uploads/?digest=${digestOf(LAYER)}`,
        {
          body: LAYER,
          headers: OCTETS,
        },
      );
      expect({ status, range: headers.range }).toEqual({ status: 202, range: "0-0" });
    });
  });

  describe("mounts", () => {
    test("a blob another repository has", async () => {
      const from = await filled();
      const repository = newRepository();
      const { status, headers } = await mount(repository, digestOf(LAYER), from);
      expect(status).toBe(201);
      expect(headers.location).toBe(`${url}/v2/${repository}/blobs/${digestOf(LAYER)}`);
      expect((await ask("HEAD", `${url}/v2/${repository}/blobs/${digestOf(LAYER)}`)).status).toBe(200);
    });

    test("a blob from the repository itself, which proves that it is there", async () => {
      const repository = await filled();
      expect((await mount(repository, digestOf(LAYER), repository)).status).toBe(201);
      expect((await mount(repository, ABSENT, repository)).status).toBe(202);
    });

    test("nothing without a repository that has it, and opens a session instead", async () => {
      const from = await filled();
      const repository = newRepository();
      const answers = [
        await mount(repository, digestOf(LAYER)),
        await mount(repository, digestOf(LAYER), "contract/nowhere"),
        await mount(repository, ABSENT, from),
      ];
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
      const session = at(answers[0]?.headers.location ?? "");
      expect((await ask("PUT", `${session}&digest=${digestOf(LAYER)}`, { body: LAYER })).status).toBe(201);
    });
  });

  describe("blobs", () => {
    let repository = "";
    beforeAll(async () => {
      repository = await filled();
    });

    const get = (digest: string, headers: Record<string, string> = {}, method = "GET"): Promise<Reply> =>
      ask(method, `${url}/v2/${repository}/blobs/${digest}`, { headers });

    test("give size and digest to a HEAD", async () => {
      const { status, headers, body } = await get(digestOf(LAYER), {}, "HEAD");
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        "content-length": "10",
        "docker-content-digest": digestOf(LAYER),
        etag: `"${digestOf(LAYER)}"`,
        "accept-ranges": "bytes",
      });
      expect(body).toHaveLength(0);
    });

    test.for([
      ["bytes=3-", "3456789", "bytes 3-9/10"],
      ["bytes=3-4", "34", "bytes 3-4/10"],
      ["bytes=3-400", "3456789", "bytes 3-9/10"],
      ["bytes=-4", "6789", "bytes 6-9/10"],
    ] as const)("give %s", async ([range, text, contentRange]) => {
      const { status, headers, body } = await get(digestOf(LAYER), { range });
      expect(status).toBe(206);
      expect(headers["content-range"]).toBe(contentRange);
      expect(body.toString()).toBe(text);
    });

    test("answer 304 to their own ETag", async () => {
      const { status } = await get(digestOf(LAYER), { "if-none-match": `"${digestOf(LAYER)}"` });
      expect(status).toBe(304);
    });

    test.for(["GET", "HEAD"])("that are not here answer %s with 404", async (method) => {
      expect((await get(ABSENT, {}, method)).status).toBe(404);
    });

    test("are known per repository", async () => {
      const elsewhere = await ask("GET", `${url}/v2/${newRepository()}/blobs/${digestOf(LAYER)}`);
      expect({ status: elsewhere.status, code: errorCode(elsewhere) }).toEqual({
        status: 404,
        code: "BLOB_UNKNOWN",
      });
    });

    test("are refused when the digest is none", async () => {
      const refused = await get("sha256:zz");
      expect({ status: refused.status, code: errorCode(refused) }).toEqual({
        status: 400,
        code: "DIGEST_INVALID",
      });
    });

    test("can be deleted once", async () => {
      const extra = Buffer.from("to be deleted");
      await pushBlob(repository, extra);
      expect((await get(digestOf(extra), {}, "DELETE")).status).toBe(202);
      expect((await get(digestOf(extra), {}, "DELETE")).status).toBe(404);
      expect((await get(digestOf(extra))).status).toBe(404);
    });
  });

  describe("manifests", () => {
    test("come back byte for byte, by tag and by digest", async () => {
      const repository = await filled();
      const put = await putManifest(repository, "v1", IMAGE, OCI_MANIFEST);
      expect(put.status).toBe(201);
      expect(put.headers["docker-content-digest"]).toBe(digestOf(IMAGE));
      for (const reference of ["v1", digestOf(IMAGE)]) {
        const { status, headers, body } = await getManifest(repository, reference);
        expect(status).toBe(200);
        expect(body).toEqual(IMAGE);
        expect(headers).toMatchObject({
          "content-type": OCI_MANIFEST,
          "docker-content-digest": digestOf(IMAGE),
          etag: `"${digestOf(IMAGE)}"`,
        });
      }
    });

    test("give type, size and digest to a HEAD", async () => {
      const repository = await filled();
      await putManifest(repository, "v1", IMAGE, OCI_MANIFEST);
      const { status, headers } = await ask("HEAD", `${url}/v2/${repository}/manifests/v1`, {
        headers: { accept: MANIFEST_ACCEPT },
      });
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        "content-type": OCI_MANIFEST,
        "content-length": String(IMAGE.length),
        "docker-content-digest": digestOf(IMAGE),
      });
    });

    test.for(["GET", "HEAD"])("answer %s with 304 to their own ETag", async (method) => {
      const repository = await filled();
      await putManifest(repository, "v1", IMAGE, OCI_MANIFEST);
      const { status } = await ask(method, `${url}/v2/${repository}/manifests/v1`, {
        headers: { accept: MANIFEST_ACCEPT, "if-none-match": `"${digestOf(IMAGE)}"` },
      });
      expect(status).toBe(304);
    });

    test("are refused when a blob they name is missing, each by name", async () => {
      const repository = newRepository();
      const refused = await putManifest(repository, "v1", IMAGE, OCI_MANIFEST);
      expect(refused.status).toBe(400);
      const { errors } = JSON.parse(refused.body.toString()) as {
        errors: { code: string; detail: string }[];
      };
      expect(errors).toHaveLength(2);
      expect(errors.every(({ code }) => code === "MANIFEST_BLOB_UNKNOWN")).toBe(true);
      expect(errors.map(({ detail }) => detail)).toEqual(
        expect.arrayContaining([digestOf(LAYER), digestOf(CONFIG)]),
      );
    });

    test("are refused when a child they name is missing", async () => {
      const repository = await filled();
      const sparse = indexOf(OCI_INDEX, { mediaType: OCI_MANIFEST, digest: ABSENT, size: 7 });
      const refused = await putManifest(repository, "v1", sparse, OCI_INDEX);
      expect({ status: refused.status, code: errorCode(refused) }).toEqual({
        status: 400,
        code: "MANIFEST_BLOB_UNKNOWN",
      });
    });

    test.for([
      ["no JSON", "nope", OCI_MANIFEST],
      ["another type than its own", IMAGE, DOCKER_MANIFEST],
      ["no manifest type at all", IMAGE, "application/json"],
    ] as const)("are refused with %s", async ([, bytes, type]) => {
      const refused = await putManifest(await filled(), "v1", Buffer.from(bytes), type);
      expect({ status: refused.status, code: errorCode(refused) }).toEqual({
        status: 400,
        code: "MANIFEST_INVALID",
      });
    });

    test("are refused under another digest than theirs", async () => {
      const refused = await putManifest(await filled(), ABSENT, IMAGE, OCI_MANIFEST);
      expect({ status: refused.status, code: errorCode(refused) }).toEqual({
        status: 400,
        code: "DIGEST_INVALID",
      });
    });

    test.for(["nope", ABSENT])("that are not here answer 404 (%s)", async (reference) => {
      const unknown = await getManifest(await filled(), reference);
      expect({ status: unknown.status, code: errorCode(unknown) }).toEqual({
        status: 404,
        code: "MANIFEST_UNKNOWN",
      });
    });

    test("of OCI are unknown to who does not accept OCI", async () => {
      const repository = await filled();
      await putManifest(repository, "image", IMAGE, OCI_MANIFEST);
      await putManifest(repository, "index", indexOf(OCI_INDEX, described(OCI_MANIFEST, IMAGE)), OCI_INDEX);
      const answers = [
        await getManifest(repository, "image", DOCKER_MANIFEST),
        await getManifest(repository, digestOf(IMAGE), "*/*"),
        await getManifest(repository, "index", OCI_MANIFEST),
      ];
      expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
      expect(answers.map(errorCode)).toEqual(["MANIFEST_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_UNKNOWN"]);
    });

    test("that are a Docker list become their amd64 child for who does not accept lists", async () => {
      const repository = await filled();
      await putManifest(repository, digestOf(DOCKER_IMAGE), DOCKER_IMAGE, DOCKER_MANIFEST);
      const list = indexOf(DOCKER_LIST, described(DOCKER_MANIFEST, DOCKER_IMAGE));
      expect((await putManifest(repository, "list", list, DOCKER_LIST)).status).toBe(201);
      const converted = await getManifest(repository, "list", DOCKER_MANIFEST);
      expect(converted.headers["docker-content-digest"]).toBe(digestOf(DOCKER_IMAGE));
      expect(converted.body).toEqual(DOCKER_IMAGE);
      expect((await getManifest(repository, "list")).body).toEqual(list);
      expect((await getManifest(repository, digestOf(list), DOCKER_MANIFEST)).body).toEqual(list);
    });

    test("take their tags along when they are deleted", async () => {
      const repository = await filled();
      await putManifest(repository, "v1", IMAGE, OCI_MANIFEST);
      await putManifest(repository, "other", DOCKER_IMAGE, DOCKER_MANIFEST);
      const remove = (): Promise<Reply> =>
        ask("DELETE", `${url}/v2/${repository}/manifests/${digestOf(IMAGE)}`);
      expect((await remove()).status).toBe(202);
      expect((await remove()).status).toBe(404);
      expect(await listed(repository)).toEqual({ name: repository, tags: ["other"] });
    });
  });

  describe("tags", () => {
    test("are null where the last one went", async () => {
      const repository = await filled();
      await putManifest(repository, "v1", IMAGE, OCI_MANIFEST);
      await ask("DELETE", `${url}/v2/${repository}/manifests/${digestOf(IMAGE)}`);
      expect(await listed(repository)).toEqual({
        name: repository,
        tags: name === "the test registry" ? [] : null,
      });
    });

    test("are listed in lexical order", async () => {
      const repository = await filled();
      for (const tag of ["b", "a", "10", "9", "B"]) await putManifest(repository, tag, IMAGE, OCI_MANIFEST);
      expect(await listed(repository)).toEqual({ name: repository, tags: ["10", "9", "B", "a", "b"] });
    });

    test("move to what was pushed last", async () => {
      const repository = await filled();
      await putManifest(repository, "v1", IMAGE, OCI_MANIFEST);
      await putManifest(repository, "v1", DOCKER_IMAGE, DOCKER_MANIFEST);
      expect((await getManifest(repository, "v1")).body).toEqual(DOCKER_IMAGE);
      expect((await getManifest(repository, digestOf(IMAGE))).body).toEqual(IMAGE);
    });

    test.for(["nothing", "only blobs"])("of a repository with %s are unknown", async (what) => {
      const repository = what === "nothing" ? newRepository() : await filled();
      const unknown = await ask("GET", `${url}/v2/${repository}/tags/list`);
      expect({ status: unknown.status, code: errorCode(unknown) }).toEqual({
        status: 404,
        code: "NAME_UNKNOWN",
      });
    });
  });
});
