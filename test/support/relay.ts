import { once } from "node:events";
import { createServer, request as ask } from "node:http";
import type { AddressInfo } from "node:net";

export type RelayOptions = {
  /** A longer body is answered 413 without reading it, as nginx does (`client_max_body_size`). */
  readonly bodyLimitBytes?: number;
  /** The nth request of this method breaks when so many bytes of its body have gone through. */
  readonly cut?: { readonly method: string; readonly nth: number; readonly throughBytes: number };
};

export type Relay = AsyncDisposable & { readonly host: string; count(method: string): number };

/** A proxy in front of a real registry, to simulate network faults. */
export async function startRelay(
  toHost: string,
  { bodyLimitBytes = Infinity, cut }: RelayOptions,
): Promise<Relay> {
  const counts = new Map<string, number>();
  const server = createServer((message, response) => {
    const { method = "", url = "", headers } = message;
    const nth = (counts.get(method) ?? 0) + 1;
    counts.set(method, nth);
    const [hostname, port] = toHost.split(":");
    if (Number(headers["content-length"] ?? 0) > bodyLimitBytes) {
      response.writeHead(413, { connection: "close" }).end();
      return;
    }
    const onward = ask({ hostname, port, method, path: url, headers, agent: false });
    const isCut = cut?.method === method && cut.nth === nth;
    // the client sees the break only after the registry has handled its part, so that the next answer is predictable
    onward.on("close", () => isCut && message.destroy());
    onward.on("error", () => message.destroy());
    onward.on("response", (answer) => {
      if (isCut) return void answer.resume();
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    let leftBytes = isCut ? cut.throughBytes : Infinity;
    onward.flushHeaders();
    if (leftBytes === 0) {
      onward.destroy();
      return;
    }
    message.on("data", (chunk: Buffer) => {
      const passed = chunk.subarray(0, leftBytes);
      leftBytes -= passed.length;
      // data on the way arrives, then the end of the connection: the registry notices it and closes its side
      onward.write(passed, () => leftBytes === 0 && onward.socket?.end());
      if (leftBytes === 0) message.pause();
    });
    message.on("end", () => onward.end());
    message.on("close", () => message.complete || onward.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: (method) => counts.get(method) ?? 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
