import { type Cancellable, within } from "../lib/cancel.ts";
import { isSyncError, SyncError } from "../lib/error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { BlobPlaced, Content, PushBlobOptions } from "../oci/store.ts";
import { verified } from "../oci/verified.ts";
import { type Chunk, chunksOf, lengthOf } from "./chunk.ts";
import type { Endpoint } from "./endpoint.ts";
import type { BlobKnowledge } from "./knowledge.ts";
import { uploadLocation, withDigest } from "./location.ts";
import { header } from "./manifests.ts";
import type { Answer } from "./request.ts";

/** Registries on object storage put a large blob together before they answer. */
const CLOSING_TIMEOUT_MS = 15 * 60_000;
const CANCEL_TIMEOUT_MS = 5_000;
/** How often a blob is sent from its start. */
const SENDINGS_MAX = 3;

/** The largest body that is sent at once; undefined: whole blobs. */
export type UploadMemory = { chunkBytes: number | undefined };

/** nginx takes no more than this unless told otherwise. */
const SMALLEST_CHUNK_BYTES = 1024 * 1024;

export type UploadContext = {
  readonly endpoint: Endpoint;
  readonly knowledge: BlobKnowledge;
  /** What uploads of this registry learnt: a proxy in front takes only so much at once. */
  readonly memory: UploadMemory;
};

type Begun =
  | { readonly kind: "placed"; readonly how: "mounted" | "present" }
  | {
      readonly kind: "session";
      readonly location: URL;
      readonly chunkMinBytes: number;
      readonly chunkMaxBytes: number;
    };

/**
 * Puts a blob into a repository: known → mounted → there already → uploaded, each asked with the request that also does it.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs
 */
export async function placeBlob(
  descriptor: Descriptor,
  open: () => Content,
  context: UploadContext,
  { onBytes, signal, placedIn }: PushBlobOptions = {},
): Promise<BlobPlaced> {
  const { endpoint, knowledge } = context;
  const elsewhere = placedIn === undefined ? undefined : endpoint.repositoryOf(placedIn);
  if (elsewhere !== undefined) knowledge.learn(descriptor.digest, elsewhere);
  if (knowledge.has(descriptor.digest, endpoint.repository)) return { how: "present", bytes: 0 };
  for (let sending = 1; ; sending += 1) {
    const begun = await begin(descriptor, context, { signal });
    if (begun.kind === "placed") {
      knowledge.learn(descriptor.digest, endpoint.repository);
      return { how: begun.how, bytes: 0 };
    }
    let sentBytes = 0;
    const count = (bytes: number): void => {
      sentBytes += bytes;
      onBytes?.(bytes);
    };
    try {
      await send(begun, descriptor, open, context, { onBytes: count, signal });
      knowledge.learn(descriptor.digest, endpoint.repository);
      return { how: "pushed", bytes: descriptor.size };
    } catch (error) {
      await cancel(begun.location, endpoint);
      signal?.throwIfAborted();
      if (isSyncError(error, "OUTCOME_UNKNOWN") && (await isThere(descriptor, context, { signal }))) {
        knowledge.learn(descriptor.digest, endpoint.repository);
        return { how: "pushed", bytes: descriptor.size };
      }
      if (sending >= SENDINGS_MAX || !maySendAgain(error, context)) throw error;
      onBytes?.(-sentBytes);
    }
  }
}

/** The session was lost, the connection broke, or the body was too large for one request: a new session, from the start. */
function maySendAgain(error: unknown, { endpoint, memory }: UploadContext): boolean {
  if (isSyncError(error, "TARGET_TOO_LARGE")) {
    // first the registry's own chunks, then what the most modest proxy takes
    const before = memory.chunkBytes ?? Infinity;
    memory.chunkBytes = before === Infinity ? endpoint.profile().chunkBytes : SMALLEST_CHUNK_BYTES;
    return memory.chunkBytes < before;
  }
  return isSyncError(
    error,
    "UPLOAD",
    "TARGET_DIGEST",
    "TARGET_PROJECT",
    "REGISTRY_UNREACHABLE",
    "REGISTRY_UNAVAILABLE",
    "STALLED",
  );
}

async function begin(descriptor: Descriptor, context: UploadContext, options: Cancellable): Promise<Begun> {
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
  endpoint: Endpoint,
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
      isSyncError(
        error,
        "DENIED",
        "AUTH_DENIED",
        "TARGET_PROJECT",
        "REQUEST_REJECTED",
        "TARGET_READONLY",
        "REGISTRY_UNAVAILABLE",
      );
    if (!refusedMount) throw error;
    return beginWith("", how, undefined, endpoint, { signal });
  }
}

function notARegistry(endpoint: Endpoint, status: number): SyncError {
  return new SyncError(
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

const uploadSubject = ({ name }: Endpoint) => ({ action: "push", what: "upload", where: name }) as const;

async function headBlob(
  { digest }: Descriptor,
  endpoint: Endpoint,
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
async function isThere(
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

type Session = Extract<Begun, { readonly kind: "session" }>;

/** How large the parts are; Infinity: one part, in a request of its own; undefined: the closing request carries it all. */
function chunkBytesFor(
  { chunkMinBytes, chunkMaxBytes }: Session,
  { size }: Descriptor,
  { endpoint, memory }: UploadContext,
): number | undefined {
  const { upload, chunkBytes } = endpoint.profile();
  if (size === 0) return undefined;
  const wanted = memory.chunkBytes ?? (upload === "chunked" || size > chunkMaxBytes ? chunkBytes : undefined);
  if (wanted === undefined) return upload === "patch" ? Infinity : undefined;
  return Math.min(chunkMaxBytes, Math.max(chunkMinBytes, wanted));
}

async function send(
  session: Session,
  descriptor: Descriptor,
  open: () => Content,
  context: UploadContext,
  options: PushBlobOptions,
): Promise<void> {
  const { endpoint } = context;
  const chunkBytes = chunkBytesFor(session, descriptor, context);
  // content that breaks ends the request with an error of the transport: what the content said is what happened
  const content = observed(verified(open(), descriptor), options);
  try {
    if (chunkBytes !== undefined)
      return await sendChunks(session, content, descriptor, chunkBytes, endpoint, options);
    await close(
      withDigest(session.location, descriptor.digest),
      { content, bytes: descriptor.size },
      endpoint,
      options,
    );
  } catch (error) {
    throw content.failure() ?? error;
  } finally {
    await content.end();
  }
}

/** The request that makes the blob exist. */
async function close(
  url: URL,
  body: Chunk | undefined,
  endpoint: Endpoint,
  { signal }: Cancellable,
): Promise<void> {
  try {
    await using answer = await endpoint.requester.askOnce(
      {
        method: "PUT",
        url,
        headers: { "content-type": "application/octet-stream", "content-length": String(lengthOf(body)) },
        ...(body && body.bytes > 0 ? { body: body.content } : {}),
        scopes: endpoint.push,
        subject: uploadSubject(endpoint),
        expect: [201, 204, 200, 504],
        timeoutMs: CLOSING_TIMEOUT_MS,
      },
      { signal },
    );
    if (answer.status === 504)
      throw new SyncError(
        "OUTCOME_UNKNOWN",
        `${endpoint.name}: the gateway gave up while the registry finished an upload`,
        { where: endpoint.name, status: 504 },
      );
    if (answer.status === 200) throw notARegistry(endpoint, 200);
  } catch (error) {
    throw isSyncError(error, "TARGET_PROJECT") ? lost(endpoint, error) : error;
  }
}

function lost(endpoint: Endpoint, cause: unknown): SyncError {
  return new SyncError("UPLOAD", `${endpoint.name}: the registry no longer knows the upload`, {
    cause,
    where: endpoint.name,
  });
}

async function sendChunks(
  session: Session,
  content: Content,
  descriptor: Descriptor,
  chunkBytes: number,
  endpoint: Endpoint,
  { signal }: Cancellable,
): Promise<void> {
  let { location } = session;
  let offset = 0;
  for await (const chunk of chunksOf(content, descriptor.size, chunkBytes)) {
    const end = offset + chunk.bytes - 1;
    await using answer = await endpoint.requester.askOnce(
      {
        method: "PATCH",
        url: location,
        headers: {
          "content-type": "application/octet-stream",
          "content-length": String(chunk.bytes),
          // all at once needs no range, and some refuse one
          ...(Number.isFinite(chunkBytes) ? { "content-range": `${offset}-${end}` } : {}),
        },
        body: chunk.content,
        scopes: endpoint.push,
        subject: uploadSubject(endpoint),
        expect: [202, 201, 204],
        timeoutMs: CLOSING_TIMEOUT_MS,
      },
      { signal },
    );
    location = uploadLocation(answer.headers["location"], location, endpoint.name);
    offset = end + 1;
  }
  await close(withDigest(location, descriptor.digest), undefined, endpoint, { signal });
}

type Observed = AsyncGenerator<Uint8Array, void, void> & { failure(): unknown; end(): Promise<void> };

/** Counts bytes, keeps what went wrong within the content, and copies small chunks: their memory may be used again. */
function observed(content: AsyncGenerator<Uint8Array, void, void>, { onBytes }: PushBlobOptions): Observed {
  let failure: unknown;
  const reading = (async function* () {
    try {
      for await (const chunk of content) {
        yield chunk.length < 64 * 1024 ? Buffer.from(chunk) : chunk;
        onBytes?.(chunk.length);
      }
    } catch (error) {
      failure = error;
      throw error;
    }
  })();
  return Object.assign(reading, {
    failure: () => failure,
    async end() {
      await reading.return().catch(() => {});
    },
  });
}

/** Best effort: most registries clean up by themselves, many refuse. */
async function cancel(location: URL, endpoint: Endpoint): Promise<void> {
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
