import { type Answer, withoutUndefined } from "./wire.ts";

/** How the end of a body is signalled: by its length, by a last chunk, or by the end of the connection. */
export type Framing = "content-length" | "chunked" | "close";

/** Bytes on the socket instead of an HTTP answer, then the end of the connection. */
export function rawAnswer(bytes: string | Uint8Array, status = 0): Answer {
  return {
    status,
    headers: {},
    send: async ({ response, entry }) => {
      const { socket } = response;
      if (!socket || socket.destroyed) return;
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      socket.end(bytes);
      entry.responseBytes += Buffer.byteLength(bytes);
      // the rest of the client's data is not needed, but unread data would turn the end into a reset
      socket.resume();
      await closed;
    },
  };
}

/** The head of `answer` with `sent` as its body, framed so that the client notices the wrong length late or never. */
export function brokenBody(
  answer: Answer,
  { sent, framing }: { readonly sent: Uint8Array; readonly framing: Framing },
): Answer {
  return {
    ...answer,
    send: async (request) => {
      const { response, entry, method } = request;
      const body = method === "HEAD" ? Buffer.of() : sent;
      const headers = Object.fromEntries(
        Object.entries(withoutUndefined(answer.headers)).filter(([name]) => name !== "content-length"),
      );
      entry.responseBytes += body.length;
      if (framing === "chunked") {
        response.writeHead(answer.status, { ...headers, "transfer-encoding": "chunked" });
        response.end(body);
        return;
      }
      const length = framing === "content-length" ? { "content-length": answer.body?.length ?? 0 } : {};
      response.shouldKeepAlive = false;
      response.useChunkedEncodingByDefault = false;
      response.writeHead(answer.status, { ...headers, ...length, connection: "close" });
      // the end of the connection, not of the answer: Node would count the bytes and refuse
      await new Promise<void>((resolve) => {
        response.once("close", () => resolve());
        response.write(body, () => response.socket?.end());
      });
    },
  };
}
