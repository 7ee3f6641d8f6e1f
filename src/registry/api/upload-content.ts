import { isTagferryError, TagferryError } from "../../errors/error.ts";
import type { Cancellable } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { OpenContent, PushBlobOptions } from "../../oci/store.ts";
import { type Checkpoint, verified } from "../../oci/verified.ts";
import { waitForRetryAfter } from "../http/retry-after.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { type Chunk, chunksOf, lengthOf, observed, without } from "./chunks.ts";
import { uploadLocation, withDigest } from "./upload-location.ts";
import {
  type Standing,
  standingOf,
  type UploadContext,
  type UploadSession,
  uploadSubject,
} from "./upload-session.ts";

/** Registries on object storage assemble a large blob before they answer, at least at this speed. */
const CLOSING_BYTES_PER_MS = 2 * 1024;
const CLOSING_MAX_MS = 15 * 60_000;
/** How often one upload is resumed: in total (RESUMES_MAX), and without progress (FRUITLESS_MAX). */
const RESUMES_MAX = 10;
const FRUITLESS_MAX = 1;
/** The maximum of source bytes that are read again when an upload is resumed. */
const CHECKPOINT_BYTES = 8 * 1024 * 1024;

type Sending = {
  readonly session: UploadSession;
  readonly descriptor: Descriptor;
  readonly open: OpenContent;
  readonly client: RepositoryClient;
  readonly options: PushBlobOptions;
};

/**
 * Sends a blob into an upload session and closes the session: in one request, or in parts that are resumed after a
 * break.
 *
 * @throws {TagferryError} the errors of `open` and of `verified`, TARGET_*, UPLOAD, OUTCOME_UNKNOWN, REGISTRY_*
 */
export async function send(
  session: UploadSession,
  descriptor: Descriptor,
  open: OpenContent,
  context: UploadContext,
  options: PushBlobOptions,
): Promise<void> {
  const sending = { session, descriptor, open, client: context.client, options };
  const chunkBytes = chunkBytesFor(session, descriptor, context.client);
  return chunkBytes === undefined ? sendWhole(sending) : sendInParts(sending, chunkBytes);
}

/** The size of the parts. Infinity: one part in its own request. undefined: the closing request contains everything. */
function chunkBytesFor(
  { chunkMinBytes, chunkMaxBytes }: UploadSession,
  { size }: Descriptor,
  client: RepositoryClient,
): number | undefined {
  const { upload, chunkBytes } = client.profile();
  if (size === 0) return undefined;
  const known = client.observations.bodySize.maxBytes();
  const wanted = known ?? (upload === "chunked" || size > chunkMaxBytes ? chunkBytes : undefined);
  if (wanted === undefined) return upload === "patch" ? Infinity : undefined;
  return Math.min(chunkMaxBytes, Math.max(chunkMinBytes, wanted));
}

function closingTimeoutMs(bytes: number, { firstByteMs }: RepositoryClient): number {
  return Math.min(Math.max(CLOSING_MAX_MS, firstByteMs), firstByteMs + bytes / CLOSING_BYTES_PER_MS);
}

async function sendWhole({ session, descriptor, open, client, options }: Sending): Promise<void> {
  const content = observed(verified(open(0), descriptor), options);
  try {
    const url = withDigest(session.location, descriptor.digest);
    await close(url, { content, bytes: descriptor.size }, descriptor, client, options);
  } catch (error) {
    throw content.failure() ?? error;
  } finally {
    await content.end();
  }
}

/**
 * Sends the request that creates the blob. Only 201 means success. After any other answer, the caller checks whether
 * the blob is there.
 */
async function close(
  url: URL,
  body: Chunk | undefined,
  { size }: Descriptor,
  client: RepositoryClient,
  { signal }: Cancellable,
): Promise<void> {
  try {
    await using answer = await client.requester.askOnce(
      {
        method: "PUT",
        url,
        headers: { "content-type": "application/octet-stream", "content-length": String(lengthOf(body)) },
        ...(body && body.bytes > 0 ? { body: body.content } : {}),
        scopes: client.push,
        subject: uploadSubject(client),
        expect: [201, 200, 202, 204, 504],
        firstByteMs: closingTimeoutMs(size, client),
        timeoutMs: closingTimeoutMs(size, client),
      },
      { signal },
    );
    if (answer.status === 504)
      throw new TagferryError(
        "OUTCOME_UNKNOWN",
        `${client.name}: the gateway gave up while the registry finished an upload`,
        { where: client.name, status: 504 },
      );
    if (answer.status !== 201)
      throw new TagferryError(
        "TARGET_UNPROVEN",
        `${client.name}: an upload was closed with ${answer.status} and the blob is not there`,
        { where: client.name, status: answer.status, allowed: 201 },
      );
  } catch (error) {
    throw isTagferryError(error, "TARGET_PROJECT") ? lost(client, error) : error;
  }
}

function lost(client: RepositoryClient, cause: unknown): TagferryError {
  return new TagferryError("UPLOAD", `${client.name}: the registry no longer knows the upload`, {
    cause,
    where: client.name,
  });
}

/**
 * After a break, asks the registry how many bytes it has, and continues from there. The source is read again from a
 * checkpoint.
 */
async function sendInParts(sending: Sending, chunkBytes: number): Promise<void> {
  const { session, client, options } = sending;
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
      (await waitForRetryAfter(sent.error, options));
    const standing = mayResume ? await standingOf(sent.standing, sent.sentBytes, client, options) : undefined;
    fruitless = standing !== undefined && standing.bytes > from.bytes ? 0 : fruitless + 1;
    if (standing === undefined || fruitless > FRUITLESS_MAX) throw sent.error;
    options.onBytes?.(standing.bytes - sent.reportedBytes);
    from = standing;
  }
}

/** The connection broke, the token expired or the registry was busy. The upload session may still exist. */
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
      /** true: the target broke. false: the source broke, and a request to the target shows nothing. */
      readonly byTarget: boolean;
      /** The last state that the registry confirmed. */
      readonly standing: Standing;
      /** Bytes passed to the connection, counted from the start of the blob. */
      readonly sentBytes: number;
      /** Those of them that `onBytes` was called for. */
      readonly reportedBytes: number;
    };

async function sendFrom(
  from: Standing,
  checkpoints: Checkpoint[],
  { descriptor, open, client, options }: Sending,
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
      // a complete upload needs no range, and some registries refuse one
      const isRanged = isResumed || Number.isFinite(chunkBytes);
      standing = await sendChunk(chunk, standing, isRanged, client, options);
    }
    await close(withDigest(standing.location, descriptor.digest), undefined, descriptor, client, options);
    return { kind: "closed" };
  } catch (error) {
    const failure = content.failure();
    return {
      kind: "broken",
      error: failure ?? error,
      byTarget: failure === undefined,
      standing,
      sentBytes: from.bytes + content.givenBytes(),
      reportedBytes: from.bytes + content.reportedBytes(),
    };
  } finally {
    await content.end();
  }
}

async function sendChunk(
  { content, bytes }: Chunk,
  { location, bytes: offset }: Standing,
  isRanged: boolean,
  client: RepositoryClient,
  { signal }: Cancellable,
): Promise<Standing> {
  const end = offset + bytes;
  await using answer = await client.requester.askOnce(
    {
      method: "PATCH",
      url: location,
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(bytes),
        ...(isRanged ? { "content-range": `${offset}-${end - 1}` } : {}),
      },
      body: content,
      scopes: client.push,
      subject: uploadSubject(client),
      expect: [202, 201, 204],
      firstByteMs: closingTimeoutMs(bytes, client),
    },
    { signal },
  );
  return { location: uploadLocation(answer.headers["location"], location, client.name), bytes: end };
}
