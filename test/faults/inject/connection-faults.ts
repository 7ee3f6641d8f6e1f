import { setTimeout as sleep } from "node:timers/promises";

import { ALL, BODIES, BOTH, type Fault, READS, WRITES } from "./fault.ts";
import { hold, pause, rawAnswer, sendRaw } from "./wire.ts";

/** Faults of connections: silence, resets, and answers that are late, slow or in pieces. */
export const CONNECTION_FAULTS: readonly Fault[] = [
  {
    name: "never answers",
    sides: BOTH,
    routes: ALL,
    patterns: ["once", "burst"],
    slow: true,
    run: (exchange) => hold(exchange),
  },
  {
    name: "answers after seconds",
    sides: BOTH,
    routes: [...ALL, "token"],
    patterns: ["once", "burst", "half"],
    run: async (exchange, random) => {
      // the answer is from the time of the request: a slow answer is old
      const answer = await exchange.handle();
      await pause(exchange, random.int(800, 3_500));
      await exchange.send(answer);
    },
  },
  {
    name: "closes without an answer",
    sides: BOTH,
    routes: ALL,
    patterns: ["once", "burst", "half", "always"],
    run: async ({ socket }) => void socket.end(),
  },
  {
    name: "resets without an answer",
    sides: BOTH,
    routes: ALL,
    patterns: ["once", "burst", "half"],
    run: async ({ reset }) => reset(),
  },
  {
    name: "resets in the middle of the answer",
    sides: BOTH,
    routes: BODIES,
    patterns: ["once", "burst", "half"],
    run: async (exchange, random) => {
      const bytes = rawAnswer(await exchange.handle(), exchange.method);
      await sendRaw(exchange, bytes.subarray(0, random.int(1, bytes.length - 1)), "reset");
    },
  },
  {
    name: "closes in the middle of the answer",
    sides: BOTH,
    routes: BODIES,
    patterns: ["once", "burst", "half"],
    run: async (exchange, random) => {
      const bytes = rawAnswer(await exchange.handle(), exchange.method);
      await sendRaw(exchange, bytes.subarray(0, random.int(1, bytes.length - 1)));
    },
  },
  {
    name: "one byte a second",
    sides: BOTH,
    routes: READS,
    patterns: ["once"],
    slow: true,
    run: async (exchange) => {
      const bytes = rawAnswer(await exchange.handle(), exchange.method);
      const head = bytes.indexOf("\r\n\r\n") + 4;
      exchange.socket.write(bytes.subarray(0, head));
      for (let at = head; at < bytes.length && !exchange.signal.aborted; at += 1) {
        exchange.socket.write(bytes.subarray(at, at + 1));
        await pause(exchange, 1_000);
      }
      exchange.socket.end();
    },
  },
  {
    name: "stops in the middle of the answer",
    sides: BOTH,
    routes: BODIES,
    patterns: ["once"],
    slow: true,
    run: async (exchange) => {
      const bytes = rawAnswer(await exchange.handle(), exchange.method);
      exchange.socket.write(bytes.subarray(0, Math.ceil(bytes.length / 2)));
      await hold(exchange);
    },
  },
  {
    name: "endless header lines",
    sides: BOTH,
    routes: READS,
    patterns: ["once"],
    run: async ({ socket, signal }) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      for (let line = 0; line < 3_000 && !signal.aborted; line += 1) {
        socket.write(`x-line-${line}: ${"a".repeat(900)}\r\n`);
        await sleep(3);
      }
      socket.destroy();
    },
  },
  {
    name: "resets while the body is being sent",
    sides: ["target"],
    routes: WRITES,
    patterns: ["once", "burst"],
    run: async ({ request, reset }) => {
      request.once("data", reset);
      request.once("end", reset);
      await Promise.resolve();
    },
  },
  {
    name: "answers 503 before the body was read, and closes",
    sides: ["target"],
    routes: WRITES,
    patterns: ["once", "burst"],
    run: async (exchange) => {
      const answer = { status: 503, headers: { connection: "close" }, body: Buffer.from("busy") };
      await sendRaw(exchange, rawAnswer(answer, exchange.method));
    },
  },
  {
    name: "the same answer twice",
    sides: BOTH,
    routes: READS,
    patterns: ["once", "burst"],
    run: async (exchange) => {
      const answer = await exchange.handle();
      await exchange.send(answer);
      exchange.socket.write(rawAnswer(answer, exchange.method));
    },
  },
  {
    name: "bytes after the answer",
    sides: BOTH,
    routes: [...READS, ...WRITES],
    patterns: ["once", "burst"],
    run: async (exchange, random) => {
      await exchange.send(await exchange.handle());
      exchange.socket.write(random.bytes(40));
    },
  },
];
