import { isTagferryError, TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { algorithmOf, digestOf, isDigest } from "../../oci/digest.ts";
import { type Manifest, MANIFEST_READ_MAX_BYTES, parseManifest } from "../../oci/manifest.ts";
import { MANIFEST_ACCEPT } from "../../oci/media-type.ts";
import type { Answer } from "../http/request.ts";
import type { RepositoryClient } from "../repository-client.ts";

/** The result of a HEAD. `unusable`: HEAD is missing or has no digest, so GET must be used with this registry. */
type Head =
  | { readonly kind: "found"; readonly descriptor: Descriptor }
  | { readonly kind: "absent" }
  | { readonly kind: "unusable"; readonly status: number };

/**
 * The descriptor behind a tag or digest. Sends one HEAD, and a GET only until it is known whether this registry's HEAD
 * is reliable.
 */
export async function resolveManifest(
  reference: string,
  client: RepositoryClient,
  { signal }: Cancellable = {},
): Promise<Descriptor | undefined> {
  const observed = client.observations.head;
  let head: Head | undefined;
  if (observed.isUsable()) {
    head = await headManifest(reference, client, { signal });
    if (head.kind === "found") return head.descriptor;
    if (head.kind === "absent" && !observed.isTrusted()) await client.recognise({ signal });
    if (head.kind === "absent" && observed.isTrusted()) return undefined;
  }
  try {
    const { descriptor } = await getManifest(reference, client, { signal });
    observed.unusable();
    return descriptor;
  } catch (error) {
    if (isTagferryError(error, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) {
      // when both answer 404, it is still unknown whether HEAD works
      if (head?.kind === "unusable") observed.unusable();
      return undefined;
    }
    // A login portal or a catch-all page answers HEAD with 200 and no digest, and GET with a page.
    if (
      head?.kind === "unusable" &&
      head.status === 200 &&
      isTagferryError(error, "MANIFEST_NOT_JSON", "MANIFEST_EMPTY")
    )
      throw new TagferryError(
        "REGISTRY_NOT_V2",
        `${referenceName(client, reference)}: the host is not a registry`,
        {
          cause: error,
          where: referenceName(client, reference),
          found: error.message,
        },
      );
    throw error;
  }
}

export async function headManifest(
  reference: string,
  client: RepositoryClient,
  { signal }: Cancellable,
): Promise<Head> {
  await using answer = await client.requester.ask(
    {
      method: "HEAD",
      url: client.url(`manifests/${reference}`),
      headers: { accept: MANIFEST_ACCEPT },
      scopes: client.pull,
      subject: { action: "resolve", what: "manifest", where: referenceName(client, reference) },
      expect: [200, 404, 405, 501],
    },
    { signal },
  );
  if (answer.status === 404) return { kind: "absent" };
  const digest = header(answer, "docker-content-digest");
  const mediaType = header(answer, "content-type")?.split(";")[0]?.trim();
  if (answer.status !== 200 || !isDigest(digest) || mediaType === undefined)
    return { kind: "unusable", status: answer.status };
  if (isDigest(reference) && digest !== reference && algorithmOf(digest) === algorithmOf(reference))
    return { kind: "unusable", status: answer.status };
  const length = Number(header(answer, "content-length"));
  client.observations.head.found();
  return {
    kind: "found",
    descriptor: { mediaType, digest, size: Number.isSafeInteger(length) && length > 0 ? length : -1 },
  };
}

/** Reads a manifest, then parses and checks it. If it was requested by digest, its bytes match this digest. */
export async function getManifest(
  reference: string,
  client: RepositoryClient,
  options: Cancellable = {},
): Promise<Manifest> {
  return (await fetchManifest(reference, client, options)).manifest;
}

export type FetchedManifest = { readonly manifest: Manifest; readonly etag: string | undefined };

/** Like `getManifest`, with the ETag for a later `If-Match`. */
export async function fetchManifest(
  reference: string,
  client: RepositoryClient,
  { signal }: Cancellable = {},
): Promise<FetchedManifest> {
  const where = referenceName(client, reference);
  await using answer = await client.requester.ask(
    {
      method: "GET",
      url: client.url(`manifests/${reference}`),
      headers: { accept: MANIFEST_ACCEPT },
      scopes: client.pull,
      subject: { action: "pull", what: "manifest", where },
      expect: [200],
    },
    { signal },
  );
  refuseEncoding(answer, where);
  const bytes = await manifestBytes(answer, where);
  const manifest = parseManifest(bytes, {
    contentType: header(answer, "content-type"),
    expected: isDigest(reference) ? reference : undefined,
    subject: where,
  });
  const sent = header(answer, "docker-content-digest");
  if (isDigest(sent) && sent !== digestOf(bytes, algorithmOf(sent)))
    throw new TagferryError("DIGEST_HEADER", `${where}: the digest header does not match the bytes`, {
      where,
      found: sent,
      allowed: manifest.descriptor.digest,
    });
  return { manifest, etag: header(answer, "etag") };
}

async function manifestBytes(answer: Answer, where: string): Promise<Buffer> {
  try {
    return await answer.bytes(MANIFEST_READ_MAX_BYTES);
  } catch (error) {
    if (isTagferryError(error, "HTTP_PROTOCOL") && error.details["allowed"] === MANIFEST_READ_MAX_BYTES)
      throw new TagferryError("MANIFEST_TOO_LARGE", `${where} has more than 8 MiB`, {
        where,
        allowed: MANIFEST_READ_MAX_BYTES,
      });
    throw error;
  }
}

export function refuseEncoding(answer: Answer, where: string): void {
  const encoding = header(answer, "content-encoding");
  if (encoding !== undefined && encoding !== "identity")
    throw new TagferryError("CONTENT_ENCODING", `${where} was sent with the encoding ${encoding}`, {
      where,
      found: encoding,
      allowed: "identity",
    });
}

export function header({ headers }: Pick<Answer, "headers">, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

export function referenceName({ name }: RepositoryClient, reference: string): string {
  return `${name}${reference.includes(":") ? "@" : ":"}${reference}`;
}
