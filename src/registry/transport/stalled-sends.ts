import type { Socket } from "node:net";

import type { buildConnector } from "undici";

/** The code of the error. */
export const SEND_STALLED = "ERR_SEND_STALLED";

/**
 * Ends connections whose other side accepts none of our bytes for `timeoutMs`.
 *
 * undici has a timeout only for the answer, which starts after the last byte of an upload. The timer of Node's socket
 * restarts whenever the kernel accepts bytes, so a slow target does not count as stalled. When nothing waits to be
 * sent, other timeouts apply (of the source, of the answer).
 */
export function endingStalledSends(
  connect: buildConnector.connector,
  timeoutMs: number,
): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error) return callback(error, null);
      watch(socket, timeoutMs);
      callback(null, socket);
    });
}

function watch(socket: Socket, timeoutMs: number): void {
  // a callback would be called once, but a connection that is reused may stall in a later request
  socket.setTimeout(timeoutMs);
  socket.on("timeout", () => {
    if (socket.writableLength > 0)
      socket.destroy(
        Object.assign(new Error("the other side accepted nothing for too long"), { code: SEND_STALLED }),
      );
  });
}
