import type { Answer, Exchange } from "../registry/exchange.ts";
import { ALL, BOTH, type Fault, READS, WRITES } from "./fault.ts";

/** Error answers and empty answers of registries and of proxies in front of them. */

const PAGE = Buffer.from(
  "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>",
);
const HTML = { "content-type": "text/html; charset=utf-8" } as const;

/** Answers without acting. The body is read, as by a proxy that buffers it. */
async function instead(exchange: Exchange, answer: Answer): Promise<void> {
  await exchange.body();
  await exchange.send(answer);
}

function status(code: number, headers: Readonly<Record<string, string>> = {}, name = `${code}`): Fault {
  return {
    name,
    sides: BOTH,
    routes: [...ALL, "token"],
    patterns: ["once", "burst", "half", "always"],
    run: (exchange) =>
      instead(exchange, {
        status: code,
        headers: { ...HTML, ...headers },
        body: Buffer.from(`<h1>${code}</h1>`),
      }),
  };
}

/** Acts, and answers that it took too long (504). */
const timedOutAfterwards: Fault = {
  name: "504 after it was stored",
  sides: ["target"],
  routes: WRITES,
  patterns: ["once", "burst", "half"],
  run: async (exchange) => {
    await exchange.handle();
    await exchange.send({ status: 504, headers: HTML, body: Buffer.from("<h1>504 Gateway Time-out</h1>") });
  },
};

export const STATUS_FAULTS: readonly Fault[] = [
  status(500),
  status(502),
  status(503),
  status(503, { "retry-after": "1" }, "503 with Retry-After"),
  status(504),
  status(408),
  status(429),
  status(429, { "retry-after": "1" }, "429 with Retry-After"),
  {
    ...status(429),
    name: "429 with Retry-After as a date",
    run: (exchange) =>
      instead(exchange, {
        status: 429,
        headers: { "retry-after": new Date(Date.now() + 2_000).toUTCString() },
        body: Buffer.from("Too Many Requests"),
      }),
  },
  timedOutAfterwards,
  {
    name: "a page with 200",
    sides: BOTH,
    routes: [...READS, "token"],
    patterns: ["once", "burst", "always"],
    run: (exchange) => instead(exchange, { status: 200, headers: HTML, body: PAGE }),
  },
  {
    name: "empty JSON with 200",
    sides: BOTH,
    routes: ["manifest-get", "tags", "token"],
    patterns: ["once", "burst", "always"],
    run: (exchange) =>
      instead(exchange, {
        status: 200,
        headers: { "content-type": "application/json" },
        body: Buffer.from("{}"),
      }),
  },
  {
    name: "nothing with 200",
    sides: BOTH,
    routes: READS,
    patterns: ["once", "burst"],
    run: (exchange) => instead(exchange, { status: 200, headers: { "content-length": "0" } }),
  },
  {
    name: "the token server is dead",
    sides: BOTH,
    routes: ["token"],
    patterns: ["once", "burst", "always"],
    run: async ({ socket }) => void socket.destroy(),
  },
  {
    name: "the token has ended",
    sides: BOTH,
    routes: ALL,
    patterns: ["once", "half"],
    when: ({ rules }) => rules.auth === "bearer",
    run: async (exchange) => {
      exchange.expireTokens();
      await exchange.send(await exchange.handle());
    },
  },
  {
    name: "redirects in a ring",
    sides: BOTH,
    routes: READS,
    patterns: ["once", "burst"],
    run: (exchange) =>
      instead(exchange, { status: 307, headers: { location: "/ring/1", "content-length": "0" } }),
  },
];
