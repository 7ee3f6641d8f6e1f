import { ERROR_CODES } from "../../errors/codes.ts";
import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { withRetryBudget } from "../../errors/retry-budget.ts";
import { type Cancellable, sleep } from "../../lib/cancel.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { ReadBlobOptions } from "../../oci/store.ts";
import { errorOfTransport } from "../http/error.ts";
import { aboveFloor, type Floor } from "../http/floor.ts";
import type { Answer } from "../http/request.ts";
import { waitForRetryAfter } from "../http/retry-after.ts";
import type { RepositoryClient } from "../repository-client.ts";
import { header, refuseEncoding } from "./manifests.ts";

export type BlobTimeouts = Floor & {
  /** The pause before a broken body is resumed. It doubles while no bytes arrive. */
  readonly resumePauseMs: number;
};

/** How often a body may break without any progress. */
const FRUITLESS_MAX = 4;
/** From this size on, a separate connection saves more than it costs. */
const LARGE_BYTES = 4 * 1024 * 1024;

/**
 * Reads a blob's bytes from a registry, and resumes after a break.
 *
 * Each continuation is requested from the registry itself, not from a signed URL, which may have expired. If a registry
 * ignores the range and sends everything, the bytes already read are skipped. If it answers with a wrong range, the
 * whole blob is requested.
 *
 * @throws {TagferryError} BLOB_UNKNOWN, BLOB_SHORT, CONTENT_ENCODING, RANGE, STALLED, REGISTRY_*
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14
 */
export async function* readBlob(
  descriptor: Descriptor,
  client: RepositoryClient,
  timeouts: BlobTimeouts,
  { fromBytes = 0, ...options }: ReadBlobOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const { budget, signal } = withRetryBudget(client.retriesMs, options);
  const { size } = descriptor;
  let givenBytes = fromBytes;
  let ranges = true;
  let fruitless = 0;
  if (fromBytes > 0 && fromBytes >= size) return;
  for (;;) {
    const startBytes = givenBytes;
    const startedMs = performance.now();
    try {
      for await (const chunk of oneBody(descriptor, client, timeouts, {
        fromBytes: givenBytes,
        ranges,
        signal,
      })) {
        givenBytes += chunk.length;
        yield chunk;
        if (givenBytes > size) return; // the body is too long: stop reading, `verified` throws the error
      }
      if (givenBytes >= size) return;
      throw new TagferryError(
        "BLOB_SHORT",
        `${client.name}: ${descriptor.digest} ended after ${givenBytes} of ${size} bytes`,
        {
          where: client.name,
          found: givenBytes,
          allowed: size,
        },
      );
    } catch (error) {
      const broken = errorOfTransport(error, { where: client.name, signal });
      // bytes that only trickle are no progress: otherwise such a body would never end
      const bytesPerSecond = ((givenBytes - startBytes) * 1000) / (performance.now() - startedMs);
      if (bytesPerSecond >= timeouts.floorBytesPerSecond) budget.renew();
      fruitless = givenBytes > startBytes ? 0 : fruitless + 1;
      const pauseMs = timeouts.resumePauseMs * 2 ** fruitless;
      if (!budget.allows(broken, pauseMs)) throw broken;
      if (isTagferryError(broken, "RANGE") && ranges) ranges = false;
      else if (!isTagferryError(broken) || !mayResume(broken) || fruitless >= FRUITLESS_MAX) throw broken;
      if (!(await waitForRetryAfter(broken, { signal }))) throw broken;
      await sleep(pauseMs, { signal });
    }
  }
}

function mayResume(error: TagferryError): boolean {
  return "retry" in ERROR_CODES[error.code] && error.code !== "RATE_LIMITED";
}

type OneBody = Cancellable & { readonly fromBytes: number; readonly ranges: boolean };

async function* oneBody(
  { digest, size }: Descriptor,
  client: RepositoryClient,
  timeouts: BlobTimeouts,
  { fromBytes, ranges, signal }: OneBody,
): AsyncGenerator<Uint8Array, void, void> {
  const where = `${client.name}@${digest}`;
  const asked = fromBytes > 0 && ranges;
  await using answer = await client.requester.ask(
    {
      method: "GET",
      url: client.url(`blobs/${digest}`),
      headers: asked ? { range: `bytes=${fromBytes}-` } : {},
      scopes: client.pull,
      subject: { action: "pull", what: "blob", where },
      expect: asked ? [200, 206] : [200],
      timeoutMs: Infinity,
      isLarge: size >= LARGE_BYTES,
    },
    { signal },
  );
  refuseEncoding(answer, where);
  let skipBytes = answer.status === 206 ? 0 : fromBytes;
  if (answer.status === 206) checkRange(answer, { fromBytes, size, where });
  for await (const chunk of aboveFloor(answer.body, timeouts, where)) {
    const skipped = Math.min(skipBytes, chunk.length);
    skipBytes -= skipped;
    if (skipped < chunk.length) yield skipped === 0 ? chunk : chunk.subarray(skipped);
  }
}

function checkRange(
  answer: Answer,
  { fromBytes, size, where }: { readonly fromBytes: number; readonly size: number; readonly where: string },
): void {
  const sent = header(answer, "content-range");
  const [, start, end, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(sent ?? "") ?? [];
  const right =
    Number(start) === fromBytes && Number(end) === size - 1 && (total === "*" || Number(total) === size);
  if (!right)
    throw new TagferryError(
      "RANGE",
      `${where}: the registry answers with another range than the requested one`,
      {
        where,
        found: sent ?? "no Content-Range",
        allowed: `bytes ${fromBytes}-${size - 1}/${size}`,
      },
    );
}
