import type { ConnectionOptions } from "node:tls";

import type { Cancellable } from "../../lib/cancel.ts";
import type { Headers } from "../profile.ts";
import { type Connection, openConnection } from "./connection.ts";
import { parseResponseHead, type ResponseHead } from "./response-head.ts";

/**
 * Reads large bodies with large reads, through sockets and buffers of our own. Through the ordinary client every 64 KiB are
 * a new buffer and a turn of the loop, which costs twice the CPU.
 */
export type Direct = Disposable & {
  /**
   * Sends a GET. Undefined when the answer is not plain (chunked, interim, without a length): the ordinary client asks again.
   * Errors of the connection are thrown as Node made them.
   */
  get(request: DirectRequest, options?: Cancellable): Promise<DirectAnswer | undefined>;
};

export type DirectRequest = { readonly url: URL; readonly headers: Readonly<Record<string, string>> };

export type DirectAnswer = {
  readonly statusCode: number;
  readonly headers: Headers;
  /** A chunk is valid until the next is asked for. */
  readonly body: AsyncIterable<Buffer>;
  /** Ends what is under way; when the body was read to its end, the connection waits for the next request. */
  close(): void;
};

export type DirectOptions = {
  /** Certificates and name lookup. */
  readonly tls: () => ConnectionOptions;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
};

const HEAD_MAX_BYTES = 32 * 1024;
/** A redirect or a refusal is read at once, so that its connection is good for more. */
const SMALL_BODY_BYTES = 64 * 1024;
/** Shorter than servers keep idle connections. */
const KEPT_MS = 4_000;
const KEPT_MAX = 8;

export function openDirect(options: DirectOptions): Direct {
  const kept = new Map<string, Connection[]>();
  const sessions = new Map<string, Buffer>();

  function keep({ origin }: URL, connection: Connection): void {
    const line = kept.get(origin) ?? [];
    if (line.length >= KEPT_MAX || !connection.isFit) return connection.destroy();
    kept.set(origin, [...line, connection]);
    setTimeout(() => {
      const left = kept.get(origin) ?? [];
      if (!left.includes(connection)) return;
      kept.set(
        origin,
        left.filter((one) => one !== connection),
      );
      connection.destroy();
    }, KEPT_MS).unref();
  }

  function reuse({ origin }: URL): Connection | undefined {
    const line = kept.get(origin) ?? [];
    for (let one = line.pop(); one; one = line.pop()) {
      if (one.isFit) return one;
      one.destroy();
    }
    return undefined;
  }

  async function exchange(
    connection: Connection,
    request: DirectRequest,
    { signal }: Cancellable,
  ): Promise<DirectAnswer | undefined> {
    connection.send(textOf(request));
    const begun = await readHead(connection, { signal });
    if (!begun) return undefined;
    const { head, rest } = begun;
    const large = openBody(connection, { bytes: head.bodyBytes, rest, signal });
    const answer = {
      statusCode: head.status,
      headers: head.headers,
      body: large.content,
      close() {
        if (large.isRead() && head.keepAlive) keep(request.url, connection);
        else connection.destroy();
      },
    };
    if (isContent(head) || head.bodyBytes > SMALL_BODY_BYTES) return answer;
    const small: Buffer[] = [];
    for await (const piece of large.content) small.push(Buffer.from(piece));
    answer.close();
    return { ...answer, body: oneByOne(small), close: () => {} };
  }

  async function attempt(
    connection: Connection,
    request: DirectRequest,
    cancellable: Cancellable,
  ): Promise<DirectAnswer | undefined> {
    let answer: DirectAnswer | undefined;
    try {
      answer = await exchange(connection, request, cancellable);
      return answer;
    } finally {
      if (!answer) connection.destroy();
    }
  }

  return {
    async get(request, { signal } = {}) {
      signal?.throwIfAborted();
      if (!isSendable(request)) return undefined;
      const { url } = request;
      const rested = reuse(url);
      if (rested)
        try {
          return await attempt(rested, request, { signal });
        } catch {
          signal?.throwIfAborted(); // else it was closed while it rested: once more, on a new one
        }
      const { origin } = url;
      const session = sessions.get(origin);
      const settings = {
        ...options,
        tls: { ...options.tls(), ...(session ? { session } : {}) },
        onSession: (one: Buffer) => void sessions.set(origin, one),
      };
      return attempt(await openConnection(url, settings, { signal }), request, { signal });
    },
    [Symbol.dispose]() {
      for (const connection of [...kept.values()].flat()) connection.destroy();
      kept.clear();
    },
  };
}

/** What the ordinary client would refuse to send, it shall refuse. */
function isSendable({ headers }: DirectRequest): boolean {
  return Object.values(headers).every((value) => /^[\t\x20-\x7e]*$/.test(value));
}

function textOf({ url, headers }: DirectRequest): string {
  const lines = Object.entries({ host: url.host, ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

const isContent = ({ status }: ResponseHead): boolean => status === 200 || status === 206;

type Begun = { readonly head: ResponseHead; readonly rest: Buffer };

/** @returns undefined when the answer is none that can be read by hand */
async function readHead(connection: Connection, options: Cancellable): Promise<Begun | undefined> {
  let seen = Buffer.alloc(0);
  while (seen.length <= HEAD_MAX_BYTES) {
    const piece = await connection.read(options);
    if (!piece && seen.length === 0) throw closed();
    if (!piece) return undefined;
    seen = Buffer.concat([seen, piece.subarray(0, HEAD_MAX_BYTES)]);
    const end = seen.indexOf("\r\n\r\n");
    if (end < 0) continue;
    const head = parseResponseHead(seen.toString("latin1", 0, end));
    const rest = piece.subarray(end + 4 - (seen.length - Math.min(piece.length, HEAD_MAX_BYTES)));
    return head && { head, rest };
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
