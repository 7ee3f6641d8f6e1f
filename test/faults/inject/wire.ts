import { setTimeout as sleep } from "node:timers/promises";

import type { Answer, Exchange } from "../registry/exchange.ts";

/** Answers that Node's server would not send. They are written to the socket as bytes. */

/** The bytes of an answer as they go over the wire; a body only where the method has one. */
export function rawAnswer({ status, headers, body }: Answer, method: string): Buffer {
  const length = headers["content-length"] ?? String(body?.length ?? 0);
  const lines = Object.entries({ ...headers, "content-length": length }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const head = Buffer.from(`HTTP/1.1 ${status} Whatever\r\n${lines.join("")}\r\n`);
  return method === "HEAD" || body === undefined ? head : Buffer.concat([head, body]);
}

export function withLength(answer: Answer, length: number): Answer {
  return { ...answer, headers: { ...answer.headers, "content-length": String(length) } };
}

/** Sends bytes and then closes: cleanly, or with a reset. */
export async function sendRaw(
  { socket, reset }: Exchange,
  bytes: Buffer,
  end: "close" | "reset" = "close",
): Promise<void> {
  await new Promise<void>((sent) => {
    socket.write(bytes, () => sent());
  });
  if (end === "close") socket.end();
  else {
    // the client reads what came before the reset
    await sleep(20);
    reset();
  }
}

/** Waits until the client disconnects or the scenario ends. */
export async function hold({ signal }: Exchange): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((ended) => {
    signal.addEventListener("abort", () => ended(), { once: true });
  });
}

/** Waits, but ends when the client has disconnected. */
export async function pause({ signal }: Exchange, milliseconds: number): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
