import { once } from "node:events";
import { createServer, type Socket } from "node:net";

import type { Random } from "../random.ts";

const KINDS = [
  "refuses connections",
  "accepts and never answers",
  "closes every connection",
  "answers 503 for ever",
  "sends a byte a second",
] as const;

export type DeadSource = AsyncDisposable & { readonly host: string; readonly kind: string };

const SLOW: readonly string[] = ["accepts and never answers", "sends a byte a second"];

/** A source that never works, in one of the ways that registries fail. */
export async function startDead(random: Random, slow: number): Promise<DeadSource> {
  const kind = random.pick(
    KINDS.filter((each) => !SLOW.includes(each) || random.chance(Math.min(1, slow * 2))),
  );
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", () => answer(kind, socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  if (kind === "refuses connections") close();
  return {
    host: `127.0.0.1:${port}`,
    kind,
    [Symbol.asyncDispose]: async () => {
      close();
      await Promise.resolve();
    },
  };
}

function answer(kind: (typeof KINDS)[number], socket: Socket): void {
  switch (kind) {
    case "closes every connection":
      socket.destroy();
      return;
    case "answers 503 for ever":
      socket.write("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy");
      return;
    case "sends a byte a second": {
      socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n");
      const timer = setInterval(() => socket.write(" "), 1_000);
      socket.once("close", () => clearInterval(timer));
      return;
    }
    case "refuses connections":
    case "accepts and never answers":
  }
}
