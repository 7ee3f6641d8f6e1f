import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { type Cancellable, sleep } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { algorithmOf, type Digest, digestOf, isDigest } from "../../oci/digest.ts";
import {
  type Manifest,
  MANIFEST_READ_MAX_BYTES,
  MANIFEST_WRITE_MAX_BYTES,
  parseManifest,
} from "../../oci/manifest.ts";
import { MANIFEST_ACCEPT } from "../../oci/media-type.ts";
import type { Answer } from "../http/client.ts";
import type { RepositoryClient } from "../repository-client.ts";

/** Harbor and OpenShift do work in their databases before they answer. */
const PUT_TIMEOUT_MS = 120_000;

/** What a HEAD tells; `unusable`: this registry has to be asked by GET (no digest, no HEAD). */
type Head =
  | { readonly kind: "found"; readonly descriptor: Descriptor }
  | { readonly kind: "absent" }
  | { readonly kind: "unusable"; readonly status: number };

/**
 * What a registry's HEAD is good for, as far as it was seen. Nexus says 404 to every HEAD and 200 to the GET, others know
 * no HEAD, or tell no digest: then GET is asked for an hour. A HEAD that found something once is believed when it says 404.
 */
export type HeadMemory = { unusableUntilMs: number; isTruthful: boolean };

const UNUSABLE_FOR_MS = 60 * 60_000;

/** What a tag or digest names; one HEAD, and a GET besides only while it is not known whether HEAD tells the truth. */
export async function resolveManifest(
  reference: string,
  endpoint: RepositoryClient,
  { signal }: Cancellable = {},
): Promise<Descriptor | undefined> {
  let head: Head | undefined;
  if (!isUseless(endpoint)) {
    head = await headManifest(reference, endpoint, { signal });
    if (head.kind === "found") return head.descriptor;
    if (head.kind === "absent" && isBelieved(endpoint)) return undefined;
  }
  try {
    const { descriptor } = await getManifest(reference, endpoint, { signal });
    giveUpHead(endpoint);
    return descriptor;
  } catch (error) {
    if (isTagferryError(error, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) {
      // both say that it is not there: this tells nothing of a HEAD that always says so
      if (head?.kind === "unusable") giveUpHead(endpoint);
      return undefined;
    }
    // a portal or a catch-all: yes to the HEAD without a digest, and a page for the manifest
    if (
      head?.kind === "unusable" &&
      head.status === 200 &&
      isTagferryError(error, "MANIFEST_NOT_JSON", "MANIFEST_EMPTY")
    )
      throw new TagferryError(
        "REGISTRY_NOT_V2",
        `${nameOf(endpoint, reference)}: what answers is no registry`,
        {
          cause: error,
          where: nameOf(endpoint, reference),
          found: error.message,
        },
      );
    throw error;
  }
}

/** Whether HEAD was found to be of no use here, within the hour. */
export function isUseless({ heads }: RepositoryClient): boolean {
  return performance.now() < heads.unusableUntilMs;
}

function isBelieved(endpoint: RepositoryClient): boolean {
  return endpoint.heads.isTruthful || endpoint.profile().truthfulHead;
}

function giveUpHead(endpoint: RepositoryClient): void {
  // what a GET shows meanwhile tells nothing new of HEAD: after the hour it is asked again
  if (!isUseless(endpoint)) endpoint.heads.unusableUntilMs = performance.now() + UNUSABLE_FOR_MS;
}

export async function headManifest(
  reference: string,
  endpoint: RepositoryClient,
  { signal }: Cancellable,
): Promise<Head> {
  await using answer = await endpoint.requester.ask(
    {
      method: "HEAD",
      url: endpoint.url(`manifests/${reference}`),
      headers: { accept: MANIFEST_ACCEPT },
      scopes: endpoint.pull,
      subject: { action: "resolve", what: "manifest", where: nameOf(endpoint, reference) },
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
  endpoint.heads.isTruthful = true;
  return {
    kind: "found",
    descriptor: { mediaType, digest, size: Number.isSafeInteger(length) && length > 0 ? length : -1 },
  };
}

/** A manifest's bytes, judged; by digest they are proven to be what was asked for. */
export async function getManifest(
  reference: string,
  endpoint: RepositoryClient,
  options: Cancellable = {},
): Promise<Manifest> {
  return (await fetchManifest(reference, endpoint, options)).manifest;
}

export type FetchedManifest = { readonly manifest: Manifest; readonly etag: string | undefined };

/** As `getManifest`, with what tells the registry later which state of a tag was seen. */
export async function fetchManifest(
  reference: string,
  endpoint: RepositoryClient,
  { signal }: Cancellable = {},
): Promise<FetchedManifest> {
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
    throw new TagferryError("DIGEST_HEADER", `${where}: the digest header is not that of the bytes`, {
      where,
      found: told,
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

export type PutOptions = Cancellable & {
  readonly tag?: string | undefined;
  /** Only over the state of the tag that has this ETag. Few registries look at it. */
  readonly ifMatch?: string | undefined;
  /** The caller looks himself whether the tag was written. */
  readonly readsBack?: boolean;
};

/**
 * Writes a manifest's bytes, and tells whether the registry lists it with its subject.
 *
 * A tag counts as written when a HEAD shows our digest under it: a server that answers 200 to everything is no registry.
 */
export async function putManifest(
  manifest: Manifest,
  endpoint: RepositoryClient,
  { tag, ifMatch, readsBack = false, signal }: PutOptions,
): Promise<{ readonly subjectListed: boolean }> {
  const { descriptor, bytes } = manifest;
  const reference = tag ?? descriptor.digest;
  const where = nameOf(endpoint, reference);
  if (bytes.length > MANIFEST_WRITE_MAX_BYTES)
    throw new TagferryError("MANIFEST_TOO_LARGE", `${where} has more than the 4 MiB that registries take`, {
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
          headers: {
            "content-type": descriptor.mediaType,
            "content-length": String(bytes.length),
            ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
          },
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
      throw new TagferryError(
        "TARGET_REJECTED",
        `${where}: the registry stored another manifest than it was sent`,
        { where, found: told, allowed: descriptor.digest },
      );
    return header(answer, "oci-subject") !== undefined;
  })();
  if (tag !== undefined && !readsBack && endpoint.profile().readBack)
    await readBack(tag, descriptor.digest, endpoint, { signal });
  return { subjectListed };
}

/** An immutable tag that holds what we wanted to write is as good as written. */
async function immutableButOurs(
  error: unknown,
  { descriptor }: Manifest,
  endpoint: RepositoryClient,
  reference: string,
  options: Cancellable,
): Promise<undefined> {
  if (isTagferryError(error, "TARGET_IMMUTABLE", "TARGET_REJECTED")) {
    const there = await resolveManifest(reference, endpoint, options);
    if (there?.digest === descriptor.digest) return undefined;
  }
  throw error;
}

const READ_BACK_PAUSES_MS = [0, 250, 1000];

async function readBack(
  tag: string,
  digest: Digest,
  endpoint: RepositoryClient,
  { signal }: Cancellable,
): Promise<void> {
  let found = "nothing";
  for (const pauseMs of READ_BACK_PAUSES_MS) {
    if (pauseMs > 0) await sleep(pauseMs, { signal });
    const head = isUseless(endpoint) ? undefined : await headManifest(tag, endpoint, { signal });
    if (head?.kind === "found" && head.descriptor.digest === digest) return;
    // another digest is an answer; nothing yet may be a registry that needs a moment
    if (head?.kind === "found") {
      found = head.descriptor.digest;
      break;
    }
    const mayLie = head?.kind !== "absent" || !isBelieved(endpoint);
    if (mayLie && (await isProven(tag, digest, endpoint, { signal }))) return;
  }
  throw otherThanWritten(nameOf(endpoint, tag), found, digest);
}

function otherThanWritten(where: string, found: string, digest: Digest): TagferryError {
  return new TagferryError("TARGET_READBACK", `${where} was written and the registry shows something else`, {
    where,
    found,
    allowed: digest,
  });
}

/** HEAD does not show what was just written: GET may, and then HEAD is of no use. */
async function isProven(
  tag: string,
  digest: Digest,
  endpoint: RepositoryClient,
  options: Cancellable,
): Promise<boolean> {
  try {
    await provenByGet(tag, digest, endpoint, options);
  } catch (error) {
    if (isTagferryError(error, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) return false;
    throw error;
  }
  giveUpHead(endpoint);
  return true;
}

async function provenByGet(
  tag: string,
  digest: Digest,
  endpoint: RepositoryClient,
  options: Cancellable,
): Promise<void> {
  const where = nameOf(endpoint, tag);
  let found: Digest;
  try {
    found = (await getManifest(tag, endpoint, options)).descriptor.digest;
  } catch (cause) {
    if (isTagferryError(cause, "MANIFEST_EMPTY", "MANIFEST_NOT_JSON", "MANIFEST_SHAPE", "MEDIA_TYPE"))
      throw new TagferryError(
        "TARGET_NOT_A_REGISTRY",
        `${where} was "written" to something that keeps nothing`,
        {
          cause,
          where,
        },
      );
    throw cause;
  }
  if (found !== digest) throw otherThanWritten(where, found, digest);
}

export function refuseEncoding(answer: Answer, where: string): void {
  const encoding = header(answer, "content-encoding");
  if (encoding !== undefined && encoding !== "identity")
    throw new TagferryError("CONTENT_ENCODING", `${where} came encoded as ${encoding}`, {
      where,
      found: encoding,
      allowed: "identity",
    });
}

export function header({ headers }: Pick<Answer, "headers">, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function nameOf({ name }: RepositoryClient, reference: string): string {
  return `${name}${reference.includes(":") ? "@" : ":"}${reference}`;
}
