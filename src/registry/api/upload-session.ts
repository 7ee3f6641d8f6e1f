import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { type Cancellable, within } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { BlobLocations } from "../blob-locations.ts";
import type { Answer } from "../http/client.ts";
import { waitAsTold } from "../http/retry-after.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { header } from "./manifests.ts";
import { uploadLocation } from "./upload-location.ts";

const CANCEL_TIMEOUT_MS = 5_000;

/** The largest body that is sent at once; undefined: whole blobs. */
export type UploadMemory = { chunkBytes: number | undefined };

export type UploadContext = {
  readonly endpoint: RepositoryClient;
  readonly knowledge: BlobLocations;
  /** What uploads of this registry learnt: a proxy in front takes only so much at once. */
  readonly memory: UploadMemory;
};

type Begun = { readonly kind: "placed"; readonly how: "mounted" | "present" } | UploadSession;

/** An upload that was opened, and the bounds that the registry names for its parts. */
export type UploadSession = {
  readonly kind: "session";
  readonly location: URL;
  readonly chunkMinBytes: number;
  readonly chunkMaxBytes: number;
};

/** Asks for the blob with the request that also opens an upload, or mounts it. */
export async function begin(
  descriptor: Descriptor,
  context: UploadContext,
  options: Cancellable,
): Promise<Begun> {
  const { endpoint, knowledge } = context;
  const { digest } = descriptor;
  const from = knowledge.elsewhere(digest, endpoint.repository);
  if (from !== undefined)
    return beginWith(`?mount=${digest}&from=${encodeURIComponent(from)}`, "mounted", from, endpoint, options);
  if (endpoint.profile().selfMount)
    return beginWith(
      `?mount=${digest}&from=${encodeURIComponent(endpoint.repository)}`,
      "present",
      endpoint.repository,
      endpoint,
      options,
    );
  if (await headBlob(descriptor, endpoint, options)) return { kind: "placed", how: "present" };
  return beginWith("", "present", undefined, endpoint, options);
}

/** Asks for a mount and an upload at once: 201 placed it, 202 opened a session. A refused mount is no refused upload. */
async function beginWith(
  query: string,
  how: "mounted" | "present",
  from: string | undefined,
  endpoint: RepositoryClient,
  { signal }: Cancellable,
): Promise<Begun> {
  const url = endpoint.url(`blobs/uploads/${query}`);
  const scopes =
    from === undefined || from === endpoint.repository
      ? endpoint.push
      : [...endpoint.push, { repository: from, actions: ["pull" as const] }];
  try {
    await using answer = await endpoint.requester.ask(
      {
        method: "POST",
        url,
        headers: { "content-length": "0" },
        scopes,
        subject: uploadSubject(endpoint),
        expect: [200, 201, 202, 204],
      },
      { signal },
    );
    if (answer.status === 201 && query !== "") return { kind: "placed", how };
    if (answer.status !== 202) throw notARegistry(endpoint, answer.status);
    return {
      kind: "session",
      location: uploadLocation(answer.headers["location"], url, endpoint.name),
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
    if (!refusedMount || !(await waitAsTold(error, { signal }))) throw error;
    return beginWith("", how, undefined, endpoint, { signal });
  }
}

export function notARegistry(endpoint: RepositoryClient, status: number): TagferryError {
  return new TagferryError(
    "TARGET_NOT_A_REGISTRY",
    `${endpoint.name}: an upload was answered ${status} and no place to send it`,
    {
      where: endpoint.name,
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

async function headBlob(
  { digest }: Descriptor,
  endpoint: RepositoryClient,
  { signal }: Cancellable,
): Promise<boolean> {
  const url = endpoint.url(`blobs/${digest}`);
  await using answer = await endpoint.requester.ask(
    {
      method: "HEAD",
      url,
      scopes: endpoint.push,
      subject: { action: "resolve", what: "blob", where: `${endpoint.name}@${digest}` },
      expect: [200, 301, 302, 303, 307, 308, 404, 405],
      manualRedirect: true,
    },
    { signal },
  );
  // servers look before they sign an address elsewhere; the address itself may be good for GET only
  return (
    answer.status === 200 || (answer.status >= 300 && answer.status < 400 && !isRegistryPath(answer, url))
  );
}

function isRegistryPath(answer: Answer, url: URL): boolean {
  return URL.parse(header(answer, "location") ?? "", url.href)?.pathname.startsWith("/v2/") ?? true;
}

/** After a gateway gave up on us: whether the registry finished. Nothing is sent again before that is known. */
export async function isThere(
  descriptor: Descriptor,
  { endpoint }: UploadContext,
  options: Cancellable,
): Promise<boolean> {
  if (!endpoint.profile().selfMount) return headBlob(descriptor, endpoint, options);
  const begun = await beginWith(
    `?mount=${descriptor.digest}&from=${encodeURIComponent(endpoint.repository)}`,
    "present",
    endpoint.repository,
    endpoint,
    options,
  );
  if (begun.kind === "session") await cancel(begun.location, endpoint);
  return begun.kind === "placed";
}

/** How far an upload has come: where it goes on, and how many bytes the registry has. */
export type Standing = { readonly location: URL; readonly bytes: number };

/**
 * Asks how far an upload that broke has come; undefined when the registry does not know it any more, does not tell, or
 * tells what cannot be: less than it acknowledged (ECR stays at the first part), more than was sent.
 *
 * `Range` names the last byte. `0-0` is read as nothing: distribution says so of an empty upload. Quay writes the unit,
 * the number of bytes instead of the last one's, and no Location.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
 */
export async function standingOf(
  { location, bytes: acknowledgedBytes }: Standing,
  sentBytes: number,
  endpoint: RepositoryClient,
  { signal }: Cancellable,
): Promise<Standing | undefined> {
  try {
    await using answer = await endpoint.requester.ask(
      {
        method: "GET",
        url: location,
        scopes: endpoint.push,
        subject: uploadSubject(endpoint),
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
      location: next === undefined ? location : uploadLocation(next, location, endpoint.name),
    };
  } catch {
    signal?.throwIfAborted();
    return undefined; // what broke the upload is the news, not that nobody knows how far it came
  }
}

/** Best effort: most registries clean up by themselves, many refuse. */
export async function cancel(location: URL, endpoint: RepositoryClient): Promise<void> {
  try {
    await using _ = await endpoint.requester.askOnce(
      {
        method: "DELETE",
        url: location,
        scopes: endpoint.push,
        subject: uploadSubject(endpoint),
        expect: [200, 202, 204],
      },
      { signal: within(CANCEL_TIMEOUT_MS) },
    );
  } catch {
    // the session expires
  }
}
