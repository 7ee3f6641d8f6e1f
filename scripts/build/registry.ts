import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";

/** As much of a registry as one copy asks for, in memory: the build runs where there is no other. */
export type WarmUpRegistry = AsyncDisposable & { readonly host: string };

type Held = { readonly bytes: Buffer; readonly type: string };

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const BLOB = "application/octet-stream";

/** Holds one image of one layer, `app:1`. */
export async function startRegistry(): Promise<WarmUpRegistry> {
  const held = new Map<string, Held>();
  const describe = (bytes: Buffer, mediaType: string): object => {
    held.set(digestOf(bytes), { bytes, type: BLOB });
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: describe(Buffer.from("{}"), "application/vnd.oci.image.config.v1+json"),
      layers: [describe(Buffer.alloc(200_000, "layer"), "application/vnd.oci.image.layer.v1.tar")],
    }),
  );
  for (const name of ["app/1", `app/${digestOf(manifest)}`])
    held.set(name, { bytes: manifest, type: MANIFEST });
  const server = createServer((request, response) => void answer(request, response, held));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens on no port");
  return {
    host: `127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  held: Map<string, Held>,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://registry");
  const bytes = await buffer(request);
  const [, repository = "", kind = "", name = ""] =
    /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs|tags)\/(.*)$/.exec(pathname) ?? [];
  const reply = (
    status: number,
    headers: Record<string, string | number> = {},
    body?: Buffer | string,
  ): void => {
    response.writeHead(status, { "docker-distribution-api-version": "registry/2.0", ...headers });
    response.end(request.method === "HEAD" ? undefined : body);
  };
  if (pathname === "/v2/") return reply(200, {}, "{}");
  if (kind === "tags") return reply(200, {}, JSON.stringify({ name: repository, tags: ["1"] }));
  if (kind === "blobs/uploads" && request.method === "POST")
    return reply(202, { location: `${pathname}one`, "docker-upload-uuid": "one" });
  if (request.method === "PATCH") {
    held.set("upload", { bytes, type: BLOB });
    return reply(202, { location: pathname, range: `0-${bytes.length - 1}` });
  }
  if (request.method === "PUT") {
    const content = bytes.length === 0 ? (held.get("upload")?.bytes ?? bytes) : bytes;
    const digest = searchParams.get("digest") ?? digestOf(content);
    if (kind === "manifests")
      for (const key of [name, digest]) held.set(`${repository}/${key}`, { bytes: content, type: MANIFEST });
    else held.set(`${repository}/${digest}`, { bytes: content, type: BLOB });
    return reply(201, { location: pathname, "docker-content-digest": digest });
  }
  const found = held.get(`${repository}/${name}`) ?? (repository === "app" ? held.get(name) : undefined);
  if (!found) return reply(404, { "content-type": "application/json" }, '{"errors":[{"code":"NOT_FOUND"}]}');
  const facts = { "content-length": found.bytes.length, "content-type": found.type };
  return reply(200, { ...facts, "docker-content-digest": digestOf(found.bytes) }, found.bytes);
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
