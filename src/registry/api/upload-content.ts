import { isTagferryError, TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { OpenContent, PushBlobOptions } from "../../oci/store.ts";
import { type Checkpoint, verified } from "../../oci/verified.ts";
import { waitAsTold } from "../http/retry-after.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { type Chunk, chunksOf, lengthOf } from "./chunks.ts";
import { uploadLocation, withDigest } from "./upload-location.ts";
import {
  type Standing,
  standingOf,
  type UploadContext,
  type UploadSession,
  uploadSubject,
} from "./upload-session.ts";

/** Registries on object storage put a large blob together before they answer: at this speed, at least. */
const CLOSING_BYTES_PER_MS = 2 * 1024;
const CLOSING_MAX_MS = 15 * 60_000;
/** How often one upload is taken up where it broke, and how often with nothing more to show for it. */
const RESUMES_MAX = 10;
const FRUITLESS_MAX = 1;
/** How much of the source is read again, at most, when an upload is taken up. */
const CHECKPOINT_BYTES = 8 * 1024 * 1024;

type Sending = {
  readonly session: UploadSession;
  readonly descriptor: Descriptor;
  readonly open: OpenContent;
  readonly endpoint: RepositoryClient;
  readonly options: PushBlobOptions;
};

/**
 * Sends a blob into an upload and closes it: in one request, or in parts, which are taken up where they broke.
 *
 * @throws {TagferryError} what `open` throws, what `verified` throws, TARGET_*, UPLOAD, OUTCOME_UNKNOWN, REGISTRY_*
 */
export async function send(
  session: UploadSession,
  descriptor: Descriptor,
  open: OpenContent,
  context: UploadContext,
  options: PushBlobOptions,
): Promise<void> {
  const sending = { session, descriptor, open, endpoint: context.endpoint, options };
  const chunkBytes = chunkBytesFor(session, descriptor, context);
  return chunkBytes === undefined ? sendWhole(sending) : sendInParts(sending, chunkBytes);
}

/** How large the parts are; Infinity: one part, in a request of its own; undefined: the closing request carries it all. */
function chunkBytesFor(
  { chunkMinBytes, chunkMaxBytes }: UploadSession,
  { size }: Descriptor,
  { endpoint, memory }: UploadContext,
): number | undefined {
  const { upload, chunkBytes } = endpoint.profile();
  if (size === 0) return undefined;
  const wanted = memory.chunkBytes ?? (upload === "chunked" || size > chunkMaxBytes ? chunkBytes : undefined);
  if (wanted === undefined) return upload === "patch" ? Infinity : undefined;
  return Math.min(chunkMaxBytes, Math.max(chunkMinBytes, wanted));
}

function closingTimeoutMs(bytes: number, { firstByteMs }: RepositoryClient): number {
  return Math.min(Math.max(CLOSING_MAX_MS, firstByteMs), firstByteMs + bytes / CLOSING_BYTES_PER_MS);
}

async function sendWhole({ session, descriptor, open, endpoint, options }: Sending): Promise<void> {
  const content = observed(verified(open(0), descriptor), options);
  try {
    const url = withDigest(session.location, descriptor.digest);
    await close(url, { content, bytes: descriptor.size }, descriptor, endpoint, options);
  } catch (error) {
    throw content.failure() ?? error;
  } finally {
    await content.end();
  }
}

/** The request that makes the blob exist. Only 201 says that it does; the caller looks for the blob after any other answer. */
async function close(
  url: URL,
  body: Chunk | undefined,
  { size }: Descriptor,
  endpoint: RepositoryClient,
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
        expect: [201, 200, 202, 204, 504],
        timeoutMs: closingTimeoutMs(size, endpoint),
      },
      { signal },
    );
    if (answer.status === 504)
      throw new TagferryError(
        "OUTCOME_UNKNOWN",
        `${endpoint.name}: the gateway gave up while the registry finished an upload`,
        { where: endpoint.name, status: 504 },
      );
    if (answer.status !== 201)
      throw new TagferryError(
        "TARGET_UNPROVEN",
        `${endpoint.name}: an upload was closed with ${answer.status} and the blob is not there`,
        { where: endpoint.name, status: answer.status, allowed: 201 },
      );
  } catch (error) {
    throw isTagferryError(error, "TARGET_PROJECT") ? lost(endpoint, error) : error;
  }
}

function lost(endpoint: RepositoryClient, cause: unknown): TagferryError {
  return new TagferryError("UPLOAD", `${endpoint.name}: the registry no longer knows the upload`, {
    cause,
    where: endpoint.name,
  });
}

/** Asks how far the upload came when it broke, and goes on from there: the source is read again from a checkpoint. */
async function sendInParts(sending: Sending, chunkBytes: number): Promise<void> {
  const { session, endpoint, options } = sending;
  const checkpoints: Checkpoint[] = [];
  let from: Standing = { location: session.location, bytes: 0 };
  let fruitless = 0;
  for (let resumes = 0; ; resumes += 1) {
    const sent = await sendFrom(from, checkpoints, sending, chunkBytes);
    if (sent.kind === "closed") return;
    const mayResume =
      sent.byTarget &&
      isPassing(sent.error) &&
      resumes < RESUMES_MAX &&
      (await waitAsTold(sent.error, options));
    const standing = mayResume
      ? await standingOf(sent.standing, sent.sentBytes, endpoint, options)
      : undefined;
    fruitless = standing !== undefined && standing.bytes > from.bytes ? 0 : fruitless + 1;
    if (standing === undefined || fruitless > FRUITLESS_MAX) throw sent.error;
    options.onBytes?.(standing.bytes - sent.sentBytes);
    from = standing;
  }
}

/** The connection broke, the token expired, the registry was busy: the upload may be there still. */
function isPassing(error: unknown): boolean {
  return isTagferryError(
    error,
    "UPLOAD",
    "REGISTRY_UNREACHABLE",
    "REGISTRY_UNAVAILABLE",
    "RATE_LIMITED",
    "STALLED",
  );
}

type Sent =
  | { readonly kind: "closed" }
  | {
      readonly kind: "broken";
      readonly error: unknown;
      /** Otherwise the source broke, and asking the target tells nothing. */
      readonly byTarget: boolean;
      /** The last that was acknowledged. */
      readonly standing: Standing;
      /** What was given to the connection, from the blob's first byte. */
      readonly sentBytes: number;
    };

async function sendFrom(
  from: Standing,
  checkpoints: Checkpoint[],
  { descriptor, open, endpoint, options }: Sending,
  chunkBytes: number,
): Promise<Sent> {
  checkpoints.splice(checkpoints.findLastIndex(({ bytes }) => bytes <= from.bytes) + 1);
  const checkpoint = checkpoints.at(-1);
  const startBytes = checkpoint?.bytes ?? 0;
  const proven = verified(open(startBytes), descriptor, {
    from: checkpoint,
    checkpointBytes: Math.min(chunkBytes, CHECKPOINT_BYTES),
    onCheckpoint: (next) => checkpoints.push(next),
  });
  const content = observed(without(from.bytes - startBytes, proven), options);
  let standing = from;
  try {
    const isResumed = from.bytes > 0;
    for await (const chunk of chunksOf(content, descriptor.size - from.bytes, chunkBytes)) {
      // all at once needs no range, and some refuse one
      const isRanged = isResumed || Number.isFinite(chunkBytes);
      standing = await sendChunk(chunk, standing, isRanged, endpoint, options);
    }
    await close(withDigest(standing.location, descriptor.digest), undefined, descriptor, endpoint, options);
    return { kind: "closed" };
  } catch (error) {
    const failure = content.failure();
    const sentBytes = from.bytes + content.givenBytes();
    return { kind: "broken", error: failure ?? error, byTarget: failure === undefined, standing, sentBytes };
  } finally {
    await content.end();
  }
}

async function sendChunk(
  { content, bytes }: Chunk,
  { location, bytes: offset }: Standing,
  isRanged: boolean,
  endpoint: RepositoryClient,
  { signal }: Cancellable,
): Promise<Standing> {
  const end = offset + bytes;
  await using answer = await endpoint.requester.askOnce(
    {
      method: "PATCH",
      url: location,
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(bytes),
        ...(isRanged ? { "content-range": `${offset}-${end - 1}` } : {}),
      },
      body: content,
      scopes: endpoint.push,
      subject: uploadSubject(endpoint),
      expect: [202, 201, 204],
      timeoutMs: closingTimeoutMs(bytes, endpoint),
    },
    { signal },
  );
  return { location: uploadLocation(answer.headers["location"], location, endpoint.name), bytes: end };
}

/** Content without its first bytes, which are read all the same: they are proven with the others. */
async function* without(
  firstBytes: number,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  let skipBytes = firstBytes;
  for await (const chunk of content) {
    const skipped = Math.min(skipBytes, chunk.length);
    skipBytes -= skipped;
    if (skipped < chunk.length) yield skipped === 0 ? chunk : chunk.subarray(skipped);
  }
}

type Observed = AsyncGenerator<Uint8Array, void, void> & {
  failure(): unknown;
  givenBytes(): number;
  end(): Promise<void>;
};

/**
 * Counts bytes, copies small chunks (their memory may be used again), and keeps what went wrong within the content: it
 * ends the request with an error of the transport, and what the content said is what happened.
 */
function observed(content: AsyncGenerator<Uint8Array, void, void>, { onBytes }: PushBlobOptions): Observed {
  let failure: unknown;
  let givenBytes = 0;
  const reading = (async function* () {
    try {
      for await (const chunk of content) {
        // before: a chunk that the connection holds when it breaks may have arrived
        givenBytes += chunk.length;
        onBytes?.(chunk.length);
        yield chunk.length < 64 * 1024 ? Buffer.from(chunk) : chunk;
      }
    } catch (error) {
      failure = error;
      throw error;
    }
  })();
  return Object.assign(reading, {
    failure: () => failure,
    givenBytes: () => givenBytes,
    async end() {
      await reading.return().catch(() => {});
    },
  });
}
