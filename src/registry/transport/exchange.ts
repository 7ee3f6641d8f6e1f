import { type Cancellable, within } from "../../lib/cancel.ts";
import type { Headers } from "../profile.ts";
import type { Connection } from "./connection.ts";
import { findHeadEnd, HEAD_MAX_BYTES, parseResponseHead, type ResponseHead } from "./response-head.ts";

export type DirectRequest = { readonly url: URL; readonly headers: Readonly<Record<string, string>> };

export type DirectAnswer = {
  readonly statusCode: number;
  readonly headers: Headers;
  /** A chunk is valid until the next one is requested. */
  readonly body: AsyncIterable<Buffer>;
  /** Ends the exchange. If the body was read completely, the connection is kept for the next request. */
  close(): void;
};

export type ExchangeOptions = Cancellable & {
  readonly firstByteTimeoutMs: number;
  /** Gets a connection that can be used for another request. */
  readonly onFree: (connection: Connection) => void;
};

/** Redirects and errors up to this size are read at once, so that their connection can be used again. */
const SMALL_BODY_BYTES = 64 * 1024;

/**
 * Sends a GET over a connection, and reads the head of its answer.
 *
 * @returns undefined when the answer is not plain. Then the connection cannot be used again.
 */
export async function exchange(
  connection: Connection,
  request: DirectRequest,
  { firstByteTimeoutMs, onFree, signal }: ExchangeOptions,
): Promise<DirectAnswer | undefined> {
  connection.send(textOf(request));
  const begun = await readHead(connection, { signal: within(firstByteTimeoutMs, { signal }) });
  if (!begun) return undefined;
  const { head, rest } = begun;
  const large = openBody(connection, { bytes: head.bodyBytes, rest, signal });
  const answer = {
    statusCode: head.status,
    headers: head.headers,
    body: large.content,
    close() {
      if (large.isRead() && head.keepAlive) onFree(connection);
      else connection.destroy();
    },
  };
  if (isContent(head) || head.bodyBytes > SMALL_BODY_BYTES) return answer;
  const small: Buffer[] = [];
  for await (const piece of large.content) small.push(Buffer.from(piece));
  answer.close();
  return { ...answer, body: oneByOne(small), close: () => {} };
}

function textOf({ url, headers }: DirectRequest): string {
  const lines = Object.entries({ host: url.host, ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

const isContent = ({ status }: ResponseHead): boolean => status === 200 || status === 206;

type Begun = { readonly head: ResponseHead; readonly rest: Buffer };

async function readHead(connection: Connection, options: Cancellable): Promise<Begun | undefined> {
  const seen = Buffer.allocUnsafe(HEAD_MAX_BYTES);
  for (let length = 0; length < seen.length;) {
    const piece = await connection.read(options);
    if (!piece && length === 0) throw closed();
    if (!piece) return undefined;
    const before = length;
    length += piece.copy(seen, before);
    const end = findHeadEnd(seen.subarray(0, length), before);
    if (end === undefined) continue;
    const head = end === "odd" ? undefined : parseResponseHead(seen.toString("latin1", 0, end));
    return head && { head, rest: piece.subarray(Number(end) + 4 - before) };
  }
  return undefined;
}

type Body = { readonly content: AsyncGenerator<Buffer, void, void>; isRead(): boolean };

function openBody(
  connection: Connection,
  { bytes, rest, signal }: { readonly bytes: number; readonly rest: Buffer } & Cancellable,
): Body {
  let missing = bytes;
  let hasMore = rest.length > bytes;
  return {
    isRead: () => missing === 0 && !hasMore,
    content: (async function* () {
      for (let piece: Buffer | undefined = rest; missing > 0;) {
        piece = piece.length > 0 ? piece : await connection.read({ signal });
        if (!piece) throw closed();
        hasMore = piece.length > missing;
        const given: Buffer = hasMore ? piece.subarray(0, missing) : piece;
        missing -= given.length;
        yield given;
        piece = piece.subarray(given.length);
      }
    })(),
  };
}

function closed(): Error {
  return Object.assign(new Error("other side closed"), { code: "ECONNRESET" });
}

async function* oneByOne(pieces: readonly Buffer[]): AsyncGenerator<Buffer, void, void> {
  yield* pieces;
}
