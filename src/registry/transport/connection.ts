import { once } from "node:events";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

import { type Cancellable, within } from "../../lib/cancel.ts";
import { literalAddress } from "./private-address.ts";
import { openRing } from "./ring.ts";

/** A socket that is read in large pieces. Its errors are those of Node. */
export type Connection = {
  send(text: string): void;
  /**
   * The next bytes; undefined when the other side has closed. A piece is valid until the next call. The connection ends
   * when nothing arrives for the idle time.
   */
  read(options?: Cancellable): Promise<Buffer | undefined>;
  /** Whether another request may be sent: the connection is open, and no unexpected bytes arrived. */
  readonly isFit: boolean;
  destroy(): void;
};

export type ConnectionSettings = {
  /** Certificates, name lookup, and the TLS session of an earlier connection. */
  readonly tls: ConnectionOptions;
  readonly onSession: (session: Buffer) => void;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
};

export async function openConnection(
  url: URL,
  { tls, onSession, connectTimeoutMs, idleTimeoutMs }: ConnectionSettings,
  { signal }: Cancellable,
): Promise<Connection> {
  const ring = openRing();
  let isPaused = false;
  let hasEnded = false;
  let isGivenUp = false;
  let failure: Error | undefined;
  let waiting: PromiseWithResolvers<void> | undefined;
  const wake = (): void => waiting?.resolve();
  const silence = setTimeout(() => {
    if (waiting) socket.destroy(new DOMException("nothing was received for too long", "TimeoutError"));
  }, idleTimeoutMs).unref();

  const onread = {
    buffer: () => ring.space(),
    callback(bytes: number) {
      ring.filled(bytes);
      // bytes that arrive in the same turn of the event loop make the piece larger
      if (waiting)
        if (ring.piled) wake();
        else setImmediate(wake);
      isPaused = ring.crowded;
      return !isPaused;
    },
  };
  const socket = connect(url, { ...tls, onread });
  socket.on("session", onSession);
  socket.on("end", () => {
    hasEnded = true;
    wake();
  });
  socket.on("error", (error) => {
    failure ??= error;
    wake();
  });
  socket.on("close", () => {
    hasEnded = true;
    clearTimeout(silence);
    // with `Connection: close` the socket closes before the reader has read everything
    if (isGivenUp) ring.release();
    wake();
  });
  const destroy = (): void => {
    isGivenUp = true;
    if (socket.closed) ring.release();
    else socket.destroy();
  };
  await connected(socket, url, within(connectTimeoutMs, { signal }), signal);

  function take(): Buffer | undefined {
    const piece = ring.take();
    if (isPaused && !ring.crowded) {
      isPaused = false;
      socket.resume();
    }
    return piece;
  }

  async function read({ signal: reading }: Cancellable = {}): Promise<Buffer | undefined> {
    for (;;) {
      reading?.throwIfAborted();
      const piece = take();
      if (piece) return piece;
      if (failure) throw failure;
      if (hasEnded) return undefined;
      waiting = Promise.withResolvers();
      silence.refresh();
      reading?.addEventListener("abort", wake);
      await waiting.promise;
      reading?.removeEventListener("abort", wake);
      waiting = undefined;
    }
  }

  return {
    send: (text) => void socket.write(text, "latin1"),
    read,
    get isFit() {
      return !hasEnded && !failure && !socket.destroyed && ring.empty;
    },
    destroy,
  };
}

type ReadInto = { readonly buffer: () => Buffer; readonly callback: (bytes: number) => boolean };

function connect(url: URL, options: ConnectionOptions & { readonly onread: ReadInto }): Socket {
  const host = literalAddress(url.hostname) ?? url.hostname;
  const secure = url.protocol === "https:";
  const place = { ...options, host, port: Number(url.port === "" ? (secure ? 443 : 80) : url.port) };
  const socket = secure
    ? connectTls({ ...place, servername: isIP(host) === 0 ? host : "", ALPNProtocols: ["http/1.1"] })
    : connectPlain(place);
  return socket.setNoDelay(true);
}

async function connected(
  socket: Socket,
  url: URL,
  inTime: AbortSignal,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await once(socket, url.protocol === "https:" ? "secureConnect" : "connect", { signal: inTime });
  } catch (error) {
    socket.destroy();
    signal?.throwIfAborted();
    if (!inTime.aborted) throw error;
    throw Object.assign(new Error(`no connection to ${url.host} within the time limit`), {
      code: "ETIMEDOUT",
    });
  }
}
