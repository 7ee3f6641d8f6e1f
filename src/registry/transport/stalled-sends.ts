import type { Socket } from "node:net";

import type { buildConnector } from "undici";

/** What the error of such a connection has for a code. */
export const SEND_STALLED = "ERR_SEND_STALLED";

/**
 * Ends connections whose other side takes nothing of what we send, for so long.
 *
 * undici looks at silence only while an answer is due, and of an upload that is after its last byte. Node's own timer knows of
 * each byte that the kernel takes, so a slow target is no stalled one; and where nothing waits to be sent, it is for others
 * (the source, the answer) to say what is too long.
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
  // with a callback it would be told once, and a kept connection may stall in a later request
  socket.setTimeout(timeoutMs);
  socket.on("timeout", () => {
    if (socket.writableLength > 0)
      socket.destroy(
        Object.assign(new Error("the other side accepted nothing for too long"), { code: SEND_STALLED }),
      );
  });
}
