import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { type Cancellable, within } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { BlobLocations } from "../blob-locations.ts";
import type { Answer } from "../http/request.ts";
import { waitForRetryAfter } from "../http/retry-after.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { findBlob } from "./blob-presence.ts";
import { header } from "./manifests.ts";
import { uploadLocation } from "./upload-location.ts";

const CANCEL_TIMEOUT_MS = 5_000;

export type UploadContext = {
  readonly client: RepositoryClient;
  readonly blobLocations: BlobLocations;
};

type Begun = { readonly kind: "placed"; readonly how: "mounted" | "present" } | UploadSession;

/** An open upload session, with the registry's limits for its chunks. */
export type UploadSession = {
  readonly kind: "session";
  readonly location: URL;
  readonly chunkMinBytes: number;
  readonly chunkMaxBytes: number;
};

/**
 * Finds the blob, mounts it, or opens an upload session for it.
 *
 * An existing blob counts only if it has the length of its descriptor; a truncated blob is uploaded again. `again`:
 * upload in any case.
 */
export async function begin(
  descriptor: Descriptor,
  context: UploadContext,
  { again = false, signal }: Cancellable & { readonly again?: boolean },
): Promise<Begun> {
  const { client } = context;
  if (again) return beginWith("", "present", undefined, client, { signal });
  const mounted = await tryMount(descriptor, context, { signal });
  if (mounted?.kind === "placed") return mounted;
  if (mounted === undefined && client.profile().selfMount) {
    const begun = await beginWith(selfMount(descriptor, client), "present", undefined, client, {
      signal,
    });
    if (begun.kind === "session") return begun;
  }
  if ((await findBlob(descriptor, client, { signal })) === "present") {
    if (mounted) await cancel(mounted.location, client);
    return { kind: "placed", how: "present" };
  }
  return mounted ?? beginWith("", "present", undefined, client, { signal });
}

/**
 * Mounts from a repository that is known to have the blob. undefined: there is none, or its mounts are always refused.
 */
async function tryMount(
  { digest }: Descriptor,
  { client, blobLocations }: UploadContext,
  options: Cancellable,
): Promise<Begun | undefined> {
  const { mounts } = client.observations;
  const from = blobLocations.elsewhere(digest, client.repository);
  if (from === undefined || mounts.areRefused(from, client.repository)) return undefined;
  const query = `?mount=${digest}&from=${encodeURIComponent(from)}`;
  const begun = await beginWith(query, "mounted", from, client, options);
  if (begun.kind === "placed") mounts.accepted(from, client.repository);
  else mounts.refused(from, client.repository);
  return begun;
}

/**
 * Requests a mount and an upload session at once: 201 means mounted, 202 means a new session. A refused mount is not
 * tried again.
 */
async function beginWith(
  query: string,
  how: "mounted" | "present",
  from: string | undefined,
  client: RepositoryClient,
  { signal }: Cancellable,
): Promise<Begun> {
  const url = client.url(`blobs/uploads/${query}`);
  const scopes =
    from === undefined ? client.push : [...client.push, { repository: from, actions: ["pull" as const] }];
  try {
    await using answer = await client.requester.ask(
      {
        method: "POST",
        url,
        headers: { "content-length": "0" },
        scopes,
        subject: uploadSubject(client),
        expect: [200, 201, 202, 204],
      },
      { signal },
    );
    if (answer.status === 201 && query !== "") return { kind: "placed", how };
    if (answer.status !== 202) throw notARegistry(client, answer.status);
    return {
      kind: "session",
      location: uploadLocation(answer.headers["location"], url, client.name),
      chunkMinBytes: chunkBound(answer, "oci-chunk-min-length") ?? 0,
      chunkMaxBytes: chunkBound(answer, "oci-chunk-max-length") ?? Infinity,
    };
  } catch (error) {
    const refusedMount =
      query !== "" &&
      isTagferryError(
        error,
        "DENIED",
        "AUTH_DENIED",
        "TARGET_PROJECT",
        "REQUEST_REJECTED",
        "TARGET_READONLY",
        "REGISTRY_UNAVAILABLE",
      );
    if (!refusedMount || !(await waitForRetryAfter(error, { signal }))) throw error;
    return beginWith("", how, undefined, client, { signal });
  }
}

export function notARegistry(client: RepositoryClient, status: number): TagferryError {
  return new TagferryError(
    "TARGET_NOT_A_REGISTRY",
    `${client.name}: an upload was answered with ${status} and without a Location`,
    {
      where: client.name,
      found: status,
      allowed: "202 with a Location",
    },
  );
}

function chunkBound(answer: Answer, name: string): number | undefined {
  const bytes = Number(header(answer, name));
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

export const uploadSubject = ({ name }: RepositoryClient) =>
  ({ action: "push", what: "upload", where: name }) as const;

/**
 * Whether the repository has the blob with the right length. Used after an answer that does not say so (504 of a
 * gateway, 200), and to prove an image.
 */
export async function hasBlob(
  descriptor: Descriptor,
  client: RepositoryClient,
  options: Cancellable,
): Promise<boolean> {
  // behind pull-through, HEAD also finds blobs of other registries; a mount does not
  if (client.profile().selfMount && !client.profile().capabilities.manifestImpliesContent) {
    const begun = await beginWith(selfMount(descriptor, client), "present", undefined, client, options);
    if (begun.kind === "session") {
      await cancel(begun.location, client);
      return false;
    }
  }
  return (await findBlob(descriptor, client, options)) === "present";
}

function selfMount({ digest }: Descriptor, { repository }: RepositoryClient): string {
  return `?mount=${digest}&from=${encodeURIComponent(repository)}`;
}

/** The state of an upload: its current URL, and how many bytes the registry has. */
export type Standing = { readonly location: URL; readonly bytes: number };

/**
 * Asks for the state of a broken upload. undefined when the registry does not know the upload any more, gives no state,
 * or gives an impossible one: fewer bytes than it confirmed before (ECR stays at the first part), or more than were
 * sent.
 *
 * `Range` names the last byte. `0-0` is read as no bytes, because distribution says so for an empty upload. Quay adds
 * the unit, gives the number of bytes instead of the last byte, and sends no Location.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
 */
export async function standingOf(
  { location, bytes: acknowledgedBytes }: Standing,
  sentBytes: number,
  client: RepositoryClient,
  { signal }: Cancellable,
): Promise<Standing | undefined> {
  try {
    await using answer = await client.requester.ask(
      {
        method: "GET",
        url: location,
        scopes: client.push,
        subject: uploadSubject(client),
        expect: [200, 202, 204],
      },
      { signal },
    );
    const [, unit, last] = /^(bytes=)?0-(\d+)$/.exec(header(answer, "range") ?? "") ?? [];
    if (last === undefined) return undefined;
    const bytes = unit !== undefined || last === "0" ? Number(last) : Number(last) + 1;
    if (bytes < acknowledgedBytes || bytes > sentBytes) return undefined;
    const next = answer.headers["location"];
    return {
      bytes,
      location: next === undefined ? location : uploadLocation(next, location, client.name),
    };
  } catch {
    signal?.throwIfAborted();
    return undefined; // the caller reports the error that broke the upload
  }
}

/** Best effort: most registries remove old sessions themselves, and many refuse this request. */
export async function cancel(location: URL, client: RepositoryClient): Promise<void> {
  try {
    await using _ = await client.requester.askOnce(
      {
        method: "DELETE",
        url: location,
        scopes: client.push,
        subject: uploadSubject(client),
        expect: [200, 202, 204],
      },
      { signal: within(CANCEL_TIMEOUT_MS) },
    );
  } catch {
    // the session expires
  }
}
