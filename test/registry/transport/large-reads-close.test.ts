import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { createServer as createTlsServer } from "node:tls";

import { expect, test } from "vitest";

import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { type Random, randomOf } from "../../faults/random.ts";
import { makeCertificates } from "../../support/certificates.ts";
import { registryClient } from "../../support/registry/client.ts";

/*
 * Slow readers of a body whose server closes right after the last byte. What has come lies in our buffers and in those of
 * the kernel, and all of it must arrive.
 * More cases by hand: LARGE_READS_CASES=5000 LARGE_READS_SEED=2 npx vitest run test/registry/transport/large-reads-close.test.ts
 */
const CASES = Math.min(5_000, Number(process.env["LARGE_READS_CASES"] ?? 60));
const SEED = process.env["LARGE_READS_SEED"] ?? "1";
const MIB = 1024 * 1024;

type Case = {
  readonly bytes: Buffer;
  readonly framing: "content-length" | "chunked";
  /** What the server does after the last byte: `destroy` closes both directions. */
  readonly end: "end" | "destroy" | "keep";
  readonly saysClose: boolean;
  /** The server sends pieces of this size. */
  readonly pieceBytes: number;
  /** How many turns of the loop the reader rests after each piece; or until the server has closed. */
  readonly rest: number | "closed";
};

function caseOf(random: Random): Case {
  return {
    bytes: random.bytes(Math.floor(random.pick([4, 4.2, 4.5, 5.5, 6.9]) * MIB) + random.int(0, 70_000)),
    framing: random.pick(["content-length", "content-length", "chunked"]),
    end: random.pick(["end", "destroy", "destroy", "keep"]),
    saysClose: random.chance(0.5),
    pieceBytes: random.pick([1_000_000, 64 * 1024, 700_001, 8 * MIB]),
    rest: random.pick([0, 1, 5, 30, "closed"] as const),
  };
}

type Served = AsyncDisposable & {
  readonly host: string;
  requests(): number;
  /** The server has sent everything and has closed its side. */
  readonly closed: Promise<void>;
};

/** Serves one blob: all of it, or what follows the start of a range. */
async function serve(
  one: Case,
  tls: { readonly cert: string; readonly key: string } | undefined,
): Promise<Served> {
  const sockets = new Set<Socket>();
  const closed = Promise.withResolvers<void>();
  let requests = 0;
  const onSocket = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => closed.resolve());
    let head = "";
    socket.on("data", (chunk) => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      const from = Number(/range: bytes=(\d+)-/i.exec(head)?.[1] ?? 0);
      head = "";
      requests += 1;
      void answer(socket, one, from).then(() => closed.resolve());
    });
  };
  const server: Server = tls ? createTlsServer(tls, onSocket) : createServer(onSocket);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    host: `${tls ? "localhost" : "127.0.0.1"}:${port}`,
    requests: () => requests,
    closed: closed.promise,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

async function answer(socket: Socket, one: Case, from: number): Promise<void> {
  const { bytes, framing, end, saysClose, pieceBytes } = one;
  const content = bytes.subarray(from);
  const lines = [
    from > 0 ? "HTTP/1.1 206 Partial Content" : "HTTP/1.1 200 OK",
    framing === "chunked" ? "transfer-encoding: chunked" : `content-length: ${content.length}`,
    ...(from > 0 ? [`content-range: bytes ${from}-${bytes.length - 1}/${bytes.length}`] : []),
    ...(saysClose ? ["connection: close"] : []),
  ];
  // the callback is called with an error too, when the reader has gone
  const write = (piece: Uint8Array | string): Promise<void> =>
    new Promise((resolve) => void socket.write(piece, () => resolve()));
  await write(`${lines.join("\r\n")}\r\n\r\n`);
  for (let at = 0; at < content.length; at += pieceBytes) {
    const piece = content.subarray(at, at + pieceBytes);
    if (framing === "chunked") await write(`${piece.length.toString(16)}\r\n`);
    await write(piece);
    if (framing === "chunked") await write("\r\n");
  }
  if (framing === "chunked") await write("0\r\n\r\n");
  if (end === "end" || (end === "keep" && saysClose)) socket.end();
  // the kernel has all bytes
  if (end === "destroy") socket.destroySoon();
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) await turn();
}

type Read = { readonly digest: string; readonly requests: number };

async function read(one: Case, secure: Secure | undefined): Promise<Read> {
  await using served = await serve(one, secure);
  await using client = registryClient(served.host, secure ? { plainHttp: false, ca: secure.ca } : {});
  const blob: Descriptor = { mediaType: "a/b", digest: digestOf(one.bytes), size: one.bytes.length };
  const hash = createHash("sha256");
  for await (const piece of client.repository("a/b").blob(blob)) {
    // where the body is larger than all buffers, the server cannot close before it is read
    await (one.rest === "closed" ? Promise.race([served.closed, turns(100)]) : turns(one.rest));
    hash.update(piece);
  }
  return { digest: `sha256:${hash.digest("hex")}`, requests: served.requests() };
}

type Secure = { readonly cert: string; readonly key: string; readonly ca: string };

async function certificates(): Promise<Secure> {
  const { server, ca } = await makeCertificates();
  const [cert = "", key = "", authority = ""] = await Promise.all(
    [server.certFile, server.keyFile, ca.certFile].map((file) => readFile(file, "utf8")),
  );
  return { cert, key, ca: authority };
}

test.for(["HTTP", "TLS"])(
  `reads ${CASES} bodies whole, with one request for each that has a length, over %s (seed ${SEED})`,
  async (scheme) => {
    const secure = scheme === "TLS" ? await certificates() : undefined;
    const wrong: string[] = [];
    const again = { "content-length": 0, chunked: 0 };
    for (let index = 0; index < CASES; index += 1) {
      const one = caseOf(randomOf(`${SEED}/${scheme}/${index}`));
      const { digest, requests } = await read(one, secure);
      // the ordinary client asks after the reader has declined a chunked answer
      const usual = one.framing === "chunked" ? 2 : 1;
      if (requests > usual) again[one.framing] += 1;
      const isWrong = digest !== digestOf(one.bytes) || requests > usual;
      const { bytes, ...facts } = one;
      if (isWrong)
        wrong.push(
          `case ${index}, ${JSON.stringify({ ...facts, size: bytes.length })}: ${requests} requests`,
        );
    }
    console.log(`asked more than once over ${scheme}: ${JSON.stringify(again)}`);
    expect(wrong).toEqual([]);
  },
);
