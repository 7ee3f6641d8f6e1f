import { request as httpRequest } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";

import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { algorithmOf, type Digest, encodedOf } from "../../../src/oci/digest.ts";
import { OCI_INDEX } from "../../../src/oci/media-type.ts";
import { type BuiltManifest, manifestDescriptor, sealManifest, type Written } from "./manifest.ts";

/** Any registry that speaks the distribution API. */
export type HttpRegistry = {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
  /** The whole header: `Basic …`. */
  readonly authorization?: string;
  /** PEM, for https. */
  readonly ca?: string;
};

/** Writes blobs, then manifests in their order, as a plain client does: one POST and one PUT per blob. */
export async function pushOverHttp(
  registry: HttpRegistry,
  repository: string,
  { blobs, writes }: { readonly blobs: ReadonlyMap<Digest, Uint8Array>; readonly writes: readonly Written[] },
): Promise<void> {
  for (const [digest, bytes] of blobs) await putBlob(registry, repository, digest, bytes);
  const unregistered: BuiltManifest[] = [];
  for (const write of writes) {
    const { headers } = await putManifest(registry, repository, write);
    if (write.manifest.subject && !headers["oci-subject"]) unregistered.push(write.manifest);
  }
  for (const index of fallbackIndexes(unregistered)) await putManifest(registry, repository, index);
}

/**
 * What a client writes to a registry without the referrers API: an index under the tag `sha256-HEX` for each
 * subject.
 */
export function fallbackIndexes(manifests: readonly BuiltManifest[]): Written[] {
  const bySubject = Map.groupBy(manifests, ({ subject }) => subject);
  return [...bySubject].flatMap(([subject, referrers]) => {
    if (subject === undefined) return [];
    const document = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: referrers.map(referrerEntry) };
    return [{ manifest: sealManifest(document), tag: `${algorithmOf(subject)}-${encodedOf(subject)}` }];
  });
}

function referrerEntry(manifest: BuiltManifest): Descriptor {
  const { artifactType, annotations } = manifest;
  return {
    ...manifestDescriptor(manifest),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

async function putBlob(
  registry: HttpRegistry,
  repository: string,
  digest: Digest,
  bytes: Uint8Array,
): Promise<void> {
  const session = await send(registry, "POST", `/v2/${repository}/blobs/uploads/`, {}, new Uint8Array());
  const location = new URL(session.headers.location ?? "", registry.url);
  // appended as text: URLSearchParams would encode the registry's own parameters in another way
  const path = `${location.pathname}${location.search}${location.search === "" ? "?" : "&"}digest=${digest}`;
  await send(registry, "PUT", path, { "content-type": "application/octet-stream" }, bytes);
}

function putManifest(
  registry: HttpRegistry,
  repository: string,
  { manifest, tag }: Written,
): Promise<Answered> {
  const path = `/v2/${repository}/manifests/${tag ?? manifest.digest}`;
  return send(registry, "PUT", path, { "content-type": manifest.mediaType }, manifest.bytes);
}

type Answered = { readonly headers: IncomingHttpHeaders };

async function send(
  { url, authorization, ca }: HttpRegistry,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: Uint8Array,
): Promise<Answered> {
  const request = url.startsWith("https:") ? httpsRequest : httpRequest;
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const sent = request(new URL(path, url), {
    method,
    agent: false,
    headers: { ...headers, "content-length": body.length, ...(authorization ? { authorization } : {}) },
    ...(ca ? { ca } : {}),
  });
  sent.on("error", reject);
  sent.on("response", (response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("error", reject);
    response.on("end", () => {
      if (response.statusCode === 201 || response.statusCode === 202) resolve(response);
      else
        reject(
          new Error(`${method} ${path}: ${response.statusCode} ${Buffer.concat(chunks).toString().trim()}`),
        );
    });
  });
  sent.end(body);
  return promise;
}
