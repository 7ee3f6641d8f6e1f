import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { type Cancellable, sleep } from "../../lib/cancel.ts";
import { algorithmOf, type Digest, isDigest } from "../../oci/digest.ts";
import { type Manifest, MANIFEST_WRITE_MAX_BYTES } from "../../oci/manifest.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { getManifest, header, headManifest, referenceName, resolveManifest } from "./manifests.ts";

/** How often a manifest is sent when the answer is not 201 and the manifest is not there. */
const SENDINGS_MAX = 3;
const READ_BACK_PAUSES_MS = [0, 250, 1000];

export type PutOptions = Cancellable & {
  readonly tag?: string | undefined;
  /** Write only if the tag still has this ETag. Few registries support it. */
  readonly ifMatch?: string | undefined;
  /** The caller checks that the tag was written. */
  readonly readsBack?: boolean;
};

/**
 * What the answer to a PUT shows. `isStored`: the status was 201. Only this status promises that the manifest is
 * stored.
 */
type PutAnswer = { readonly status: number; readonly isStored: boolean; readonly subjectListed: boolean };

/**
 * Writes a manifest's bytes. Returns whether the registry lists it with its subject.
 *
 * Only 201 means that a manifest was stored. After another success status (200, 202, 204: a proxy's page, a catch-all
 * page) the manifest is read back by its reference, and sent again if it is not there. A tag is read back after a 201
 * too, and so is a digest where the registry may not check what an index names (`readBackDigests`).
 *
 * @throws {TagferryError} TARGET_UNPROVEN, TARGET_READBACK, TARGET_NOT_A_REGISTRY, TARGET_*, MANIFEST_TOO_LARGE
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
 */
export async function putManifest(
  manifest: Manifest,
  client: RepositoryClient,
  options: PutOptions,
): Promise<{ readonly subjectListed: boolean }> {
  const { tag, readsBack = false, signal } = options;
  const { descriptor, bytes } = manifest;
  const where = referenceName(client, tag ?? descriptor.digest);
  if (bytes.length > MANIFEST_WRITE_MAX_BYTES)
    throw new TagferryError("MANIFEST_TOO_LARGE", `${where} has more than the 4 MiB that registries accept`, {
      where,
      found: bytes.length,
      allowed: MANIFEST_WRITE_MAX_BYTES,
    });
  for (let sending = 1; ; sending += 1) {
    const { status, isStored, subjectListed } = await putOnce(manifest, client, options);
    const { readBack: readsTags, readBackDigests } = client.profile();
    const readsBackItself = tag === undefined ? readBackDigests : readsTags && !readsBack;
    if (isStored && !readsBackItself) return { subjectListed };
    const found = await readBack(tag ?? descriptor.digest, manifest, client, { isStored, signal });
    if (found === descriptor.digest) return { subjectListed };
    if (isStored && tag !== undefined) throw otherThanWritten(where, found, descriptor.digest);
    if (sending >= SENDINGS_MAX) throw unproven(where, status, found);
  }
}

async function putOnce(
  manifest: Manifest,
  client: RepositoryClient,
  { tag, ifMatch, signal }: PutOptions,
): Promise<PutAnswer> {
  const { descriptor, bytes } = manifest;
  const reference = tag ?? descriptor.digest;
  const where = referenceName(client, reference);
  await using answer = await client.requester
    .ask(
      {
        method: "PUT",
        url: client.url(`manifests/${reference}`),
        headers: {
          "content-type": descriptor.mediaType,
          "content-length": String(bytes.length),
          ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
        },
        body: bytes,
        scopes: client.push,
        subject: { action: "push", what: "manifest", where },
        expect: [201, 200, 202, 204],
        // Harbor and OpenShift do work in their databases before they answer
        firstByteMs: client.requestMs,
      },
      { signal },
    )
    .catch((error: unknown) => immutableButOurs(error, manifest, client, reference, { signal }));
  if (!answer) return { status: 201, isStored: true, subjectListed: true };
  const stored = header(answer, "docker-content-digest");
  if (
    isDigest(stored) &&
    algorithmOf(stored) === algorithmOf(descriptor.digest) &&
    stored !== descriptor.digest
  )
    throw new TagferryError(
      "TARGET_REJECTED",
      `${where}: the registry stored another manifest than the one that was sent`,
      { where, found: stored, allowed: descriptor.digest },
    );
  const subjectListed = header(answer, "oci-subject") !== undefined;
  return { status: answer.status, isStored: answer.status === 201, subjectListed };
}

/** An immutable tag that already has the wanted digest counts as written. */
async function immutableButOurs(
  error: unknown,
  { descriptor }: Manifest,
  client: RepositoryClient,
  reference: string,
  options: Cancellable,
): Promise<undefined> {
  if (isTagferryError(error, "TARGET_IMMUTABLE", "TARGET_REJECTED")) {
    const there = await resolveManifest(reference, client, options);
    if (there?.digest === descriptor.digest) return undefined;
  }
  throw error;
}

type ReadBackOptions = Cancellable & { readonly isStored: boolean };

/** The digest under `reference` after the PUT. undefined: nothing is there, even after some pauses. */
async function readBack(
  reference: string,
  { descriptor, bytes }: Manifest,
  client: RepositoryClient,
  { isStored, signal }: ReadBackOptions,
): Promise<Digest | undefined> {
  const observed = client.observations.head;
  try {
    for (const pauseMs of READ_BACK_PAUSES_MS) {
      if (pauseMs > 0) await sleep(pauseMs, { signal });
      const head = observed.isUsable() ? await headManifest(reference, client, { signal }) : undefined;
      if (head?.kind === "found" && head.descriptor.digest !== descriptor.digest)
        return head.descriptor.digest;
      // the length may be missing (-1); if it was sent, it must be right
      if (head?.kind === "found" && [-1, bytes.length].includes(head.descriptor.size))
        return descriptor.digest;
      // nothing found: the registry may need time, or its HEAD may not work
      const mayLie = head?.kind !== "absent" || !observed.isTrusted();
      const found = mayLie ? await digestByGet(reference, client, { signal }) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  } catch (error) {
    // Harbor stores the tag, but a project policy may forbid reading it
    if (isStored && isTagferryError(error, "SOURCE_POLICY")) return descriptor.digest;
    throw error;
  }
}

/** The digest that GET returns. If GET finds what HEAD did not find, HEAD is not used any more. */
async function digestByGet(
  reference: string,
  client: RepositoryClient,
  options: Cancellable,
): Promise<Digest | undefined> {
  const where = referenceName(client, reference);
  try {
    const { descriptor } = await getManifest(reference, client, options);
    client.observations.head.unusable();
    return descriptor.digest;
  } catch (cause) {
    if (isTagferryError(cause, "MANIFEST_UNKNOWN", "NAME_UNKNOWN")) return undefined;
    if (isTagferryError(cause, "MANIFEST_EMPTY", "MANIFEST_NOT_JSON", "MANIFEST_SHAPE", "MEDIA_TYPE"))
      throw new TagferryError(
        "TARGET_NOT_A_REGISTRY",
        `${where} was accepted by a host that stores nothing`,
        { cause, where },
      );
    throw cause;
  }
}

function otherThanWritten(where: string, found: Digest | undefined, digest: Digest): TagferryError {
  return new TagferryError("TARGET_READBACK", `${where} was written, but the registry shows another digest`, {
    where,
    found: found ?? "nothing",
    allowed: digest,
  });
}

function unproven(where: string, status: number, found: Digest | undefined): TagferryError {
  return new TagferryError("TARGET_UNPROVEN", `${where} was answered ${status} and is not there`, {
    where,
    status,
    found: found ?? "nothing",
    allowed: 201,
  });
}
