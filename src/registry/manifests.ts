import { type Cancellable, sleep } from "../lib/cancel.ts";
import { isSyncError, SyncError } from "../lib/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { algorithmOf, type Digest, digestOf, isDigest } from "../oci/digest.ts";
import {
  type Manifest,
  MANIFEST_READ_MAX_BYTES,
  MANIFEST_WRITE_MAX_BYTES,
  parseManifest,
} from "../oci/manifest.ts";
import { MANIFEST_ACCEPT } from "../oci/media-type.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Answer } from "./request.ts";

/** Harbor and OpenShift do work in their databases before they answer. */
const PUT_TIMEOUT_MS = 120_000;

/** What a HEAD tells; `unusable`: this registry has to be asked by GET (no digest, no HEAD). */
type Head =
  | { readonly kind: "found"; readonly descriptor: Descriptor }
  | { readonly kind: "absent" }
  | { readonly kind: "unusable"; readonly status: number };

/** Registries whose HEAD is of no use, so that it is asked only once. */
export type HeadMemory = { unusable: boolean };

export async function resolveManifest(
  reference: string,
  endpoint: Endpoint,
  memory: HeadMemory,
  { signal }: Cancellable = {},
): Promise<Descriptor | undefined> {
  let headStatus: number | undefined;
  if (!memory.unusable) {
    const head = await headManifest(reference, endpoint, { signal });
    if (head.kind === "found") return head.descriptor;
    if (head.kind === "absent") return undefined;
    headStatus = head.status;
  }
  try {
    const { descriptor } = await getManifest(reference, endpoint, { signal });
    memory.unusable = true;
    return descriptor;
  } catch (error) {
    if (isSyncError(error, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) {
      memory.unusable = true;
      return undefined;
    }
    // a portal or a catch-all: yes to the HEAD without a digest, and a page for the manifest
    if (headStatus === 200 && isSyncError(error, "MANIFEST_NOT_JSON", "MANIFEST_EMPTY"))
      throw new SyncError("REGISTRY_NOT_V2", `${nameOf(endpoint, reference)}: what answers is no registry`, {
        cause: error,
        where: nameOf(endpoint, reference),
        found: error.message,
      });
    throw error;
  }
}

async function headManifest(reference: string, endpoint: Endpoint, { signal }: Cancellable): Promise<Head> {
  await using answer = await endpoint.requester.ask(
    {
      method: "HEAD",
      url: endpoint.url(`manifests/${reference}`),
      headers: { accept: MANIFEST_ACCEPT },
      scopes: endpoint.pull,
      subject: { action: "resolve", what: "manifest", where: nameOf(endpoint, reference) },
      expect: [200, 404, 405],
    },
    { signal },
  );
  if (answer.status === 404) return { kind: "absent" };
  const digest = header(answer, "docker-content-digest");
  const mediaType = header(answer, "content-type")?.split(";")[0]?.trim();
  if (answer.status === 405 || !isDigest(digest) || mediaType === undefined)
    return { kind: "unusable", status: answer.status };
  if (isDigest(reference) && digest !== reference && algorithmOf(digest) === algorithmOf(reference))
    return { kind: "unusable", status: answer.status };
  const length = Number(header(answer, "content-length"));
  return {
    kind: "found",
    descriptor: { mediaType, digest, size: Number.isSafeInteger(length) && length > 0 ? length : -1 },
  };
}

/** A manifest's bytes, judged; by digest they are proven to be what was asked for. */
export async function getManifest(
  reference: string,
  endpoint: Endpoint,
  { signal }: Cancellable = {},
): Promise<Manifest> {
  const where = nameOf(endpoint, reference);
  await using answer = await endpoint.requester.ask(
    {
      method: "GET",
      url: endpoint.url(`manifests/${reference}`),
      headers: { accept: MANIFEST_ACCEPT },
      scopes: endpoint.pull,
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
  const told = header(answer, "docker-content-digest");
  if (isDigest(told) && told !== digestOf(bytes, algorithmOf(told)))
    throw new SyncError("DIGEST_HEADER", `${where}: the digest header is not that of the bytes`, {
      where,
      found: told,
      allowed: manifest.descriptor.digest,
    });
  return manifest;
}

async function manifestBytes(answer: Answer, where: string): Promise<Buffer> {
  try {
    return await answer.bytes(MANIFEST_READ_MAX_BYTES);
  } catch (error) {
    if (isSyncError(error, "HTTP_PROTOCOL") && error.details["allowed"] === MANIFEST_READ_MAX_BYTES)
      throw new SyncError("MANIFEST_TOO_LARGE", `${where} has more than 8 MiB`, {
        where,
        allowed: MANIFEST_READ_MAX_BYTES,
      });
    throw error;
  }
}

/**
 * Writes a manifest's bytes, and tells whether the registry lists it with its subject.
 *
 * A tag counts as written when a HEAD shows our digest under it: a server that answers 200 to everything is no registry.
 */
export async function putManifest(
  manifest: Manifest,
  endpoint: Endpoint,
  { tag, signal }: Cancellable & { readonly tag?: string | undefined },
): Promise<{ readonly subjectListed: boolean }> {
  const { descriptor, bytes } = manifest;
  const reference = tag ?? descriptor.digest;
  const where = nameOf(endpoint, reference);
  if (bytes.length > MANIFEST_WRITE_MAX_BYTES)
    throw new SyncError("MANIFEST_TOO_LARGE", `${where} has more than the 4 MiB that registries take`, {
      where,
      found: bytes.length,
      allowed: MANIFEST_WRITE_MAX_BYTES,
    });
  const subjectListed = await (async () => {
    await using answer = await endpoint.requester
      .ask(
        {
          method: "PUT",
          url: endpoint.url(`manifests/${reference}`),
          headers: { "content-type": descriptor.mediaType, "content-length": String(bytes.length) },
          body: bytes,
          scopes: endpoint.push,
          subject: { action: "push", what: "manifest", where },
          expect: [201, 200, 202, 204],
          timeoutMs: PUT_TIMEOUT_MS,
        },
        { signal },
      )
      .catch((error: unknown) => immutableButOurs(error, manifest, endpoint, reference, { signal }));
    if (!answer) return true;
    const told = header(answer, "docker-content-digest");
    if (isDigest(told) && algorithmOf(told) === algorithmOf(descriptor.digest) && told !== descriptor.digest)
      throw new SyncError(
        "TARGET_REJECTED",
        `${where}: the registry stored another manifest than it was sent`,
        { where, found: told, allowed: descriptor.digest },
      );
    return header(answer, "oci-subject") !== undefined;
  })();
  if (tag !== undefined && endpoint.profile().readBack)
    await readBack(tag, descriptor.digest, endpoint, { signal });
  return { subjectListed };
}

/** An immutable tag that holds what we wanted to write is as good as written. */
async function immutableButOurs(
  error: unknown,
  { descriptor }: Manifest,
  endpoint: Endpoint,
  reference: string,
  options: Cancellable,
): Promise<undefined> {
  if (isSyncError(error, "TARGET_IMMUTABLE", "TARGET_REJECTED")) {
    const head = await headManifest(reference, endpoint, options);
    if (head.kind === "found" && head.descriptor.digest === descriptor.digest) return undefined;
  }
  throw error;
}

const READ_BACK_PAUSES_MS = [0, 250, 1000];

async function readBack(
  tag: string,
  digest: Digest,
  endpoint: Endpoint,
  { signal }: Cancellable,
): Promise<void> {
  const where = nameOf(endpoint, tag);
  let found = "nothing";
  for (const pauseMs of READ_BACK_PAUSES_MS) {
    if (pauseMs > 0) await sleep(pauseMs, { signal });
    const head = await headManifest(tag, endpoint, { signal });
    if (head.kind === "unusable") return provenByGet(tag, digest, endpoint, { signal });
    if (head.kind === "found" && head.descriptor.digest === digest) return;
    // another digest is an answer; nothing yet may be a registry that needs a moment
    if (head.kind === "found") {
      found = head.descriptor.digest;
      break;
    }
  }
  throw new SyncError("TARGET_READBACK", `${where} was written and the registry shows something else`, {
    where,
    found,
    allowed: digest,
  });
}

async function provenByGet(
  tag: string,
  digest: Digest,
  endpoint: Endpoint,
  options: Cancellable,
): Promise<void> {
  const where = nameOf(endpoint, tag);
  let found: Digest;
  try {
    found = (await getManifest(tag, endpoint, options)).descriptor.digest;
  } catch (cause) {
    if (isSyncError(cause, "MANIFEST_EMPTY", "MANIFEST_NOT_JSON", "MANIFEST_SHAPE", "MEDIA_TYPE"))
      throw new SyncError("TARGET_NOT_A_REGISTRY", `${where} was "written" to something that keeps nothing`, {
        cause,
        where,
      });
    throw cause;
  }
  if (found !== digest)
    throw new SyncError("TARGET_READBACK", `${where} was written and the registry shows something else`, {
      where,
      found,
      allowed: digest,
    });
}

export function refuseEncoding(answer: Answer, where: string): void {
  const encoding = header(answer, "content-encoding");
  if (encoding !== undefined && encoding !== "identity")
    throw new SyncError("CONTENT_ENCODING", `${where} came encoded as ${encoding}`, {
      where,
      found: encoding,
      allowed: "identity",
    });
}

export function header({ headers }: Pick<Answer, "headers">, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function nameOf({ name }: Endpoint, reference: string): string {
  return `${name}${reference.includes(":") ? "@" : ":"}${reference}`;
}
