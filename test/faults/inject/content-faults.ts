import { gzipSync } from "node:zlib";

import type { Random } from "../random.ts";
import type { Answer, Exchange } from "../registry/exchange.ts";
import { BODIES, BOTH, type Fault } from "./fault.ts";
import { rawAnswer, sendRaw, withLength } from "./wire.ts";

/** Answers that look correct but have wrong bytes, lengths or headers. */

type Altered = (answer: Answer, random: Random, exchange: Exchange) => Answer;

function altered(alter: Altered): Fault["run"] {
  return async (exchange, random) => exchange.send(alter(await exchange.handle(), random, exchange));
}

function withBody(answer: Answer, body: Buffer): Answer {
  return { ...withLength(answer, body.length), body };
}

function header(answer: Answer, name: string, value: string): Answer {
  return { ...answer, headers: { ...answer.headers, [name]: value } };
}

const bodyOf = ({ body }: Answer): Buffer => body ?? Buffer.alloc(0);

const flipped: Altered = (answer, random) => {
  const body = Buffer.from(bodyOf(answer));
  if (body.length > 0) {
    const at = random.int(0, body.length - 1);
    body[at] = (body[at] ?? 0) ^ (1 << random.int(0, 7));
  }
  return withBody(answer, body);
};

export const CONTENT_FAULTS: readonly Fault[] = [
  {
    name: "wrong bytes, right length",
    sides: BOTH,
    routes: ["manifest-get", "blob-get"],
    patterns: ["once", "burst", "always"],
    run: altered(flipped),
  },
  {
    name: "fewer bytes, complete on the wire",
    sides: BOTH,
    routes: BODIES,
    patterns: ["once", "burst", "always"],
    run: altered((answer, random) =>
      withBody(answer, bodyOf(answer).subarray(0, random.int(0, Math.max(0, bodyOf(answer).length - 1)))),
    ),
  },
  {
    name: "fewer bytes, chunked and well formed",
    sides: BOTH,
    routes: BODIES,
    patterns: ["once", "burst"],
    run: altered((answer, random) => {
      const { "content-length": _, ...headers } = answer.headers;
      const body = bodyOf(answer).subarray(0, random.int(0, Math.max(0, bodyOf(answer).length - 1)));
      return { ...answer, headers: { ...headers, "transfer-encoding": "chunked" }, body };
    }),
  },
  {
    name: "more bytes",
    sides: BOTH,
    routes: ["manifest-get", "blob-get"],
    patterns: ["once", "burst", "always"],
    run: altered((answer, random) =>
      withBody(answer, Buffer.concat([bodyOf(answer), random.bytes(random.int(1, 500))])),
    ),
  },
  {
    name: "Content-Length too large",
    sides: BOTH,
    routes: BODIES,
    patterns: ["once", "burst"],
    run: async (exchange, random) => {
      const answer = await exchange.handle();
      const length = bodyOf(answer).length + random.int(1, 500);
      await sendRaw(exchange, rawAnswer(withLength(answer, length), exchange.method));
    },
  },
  {
    name: "Content-Length too small",
    sides: BOTH,
    routes: BODIES,
    patterns: ["once", "burst"],
    run: async (exchange, random) => {
      const answer = await exchange.handle();
      const length = random.int(0, Math.max(0, bodyOf(answer).length - 1));
      await sendRaw(exchange, rawAnswer(withLength(answer, length), exchange.method));
    },
  },
  {
    name: "wrong Docker-Content-Digest",
    sides: BOTH,
    routes: ["manifest-get", "manifest-head", "manifest-put"],
    patterns: ["once", "burst", "always"],
    run: altered((answer, random) =>
      header(answer, "docker-content-digest", `sha256:${random.bytes(32).toString("hex")}`),
    ),
  },
  {
    name: "garbage as Docker-Content-Digest",
    sides: BOTH,
    routes: ["manifest-get", "manifest-head"],
    patterns: ["once", "burst"],
    run: altered((answer) => header(answer, "docker-content-digest", "sha256:../../etc/passwd")),
  },
  {
    name: "no Docker-Content-Digest",
    sides: BOTH,
    routes: ["manifest-get", "manifest-head", "manifest-put"],
    patterns: ["once", "burst", "always"],
    run: altered((answer) => {
      const { "docker-content-digest": _, ...headers } = answer.headers;
      return { ...answer, headers };
    }),
  },
  {
    name: "wrong Content-Type",
    sides: BOTH,
    routes: ["manifest-get", "manifest-head"],
    patterns: ["once", "burst"],
    run: altered((answer, random) =>
      header(
        answer,
        "content-type",
        random.pick(["text/plain", "application/json", "application/octet-stream"]),
      ),
    ),
  },
  {
    name: "compressed, though nobody asked for it",
    sides: BOTH,
    routes: BODIES,
    patterns: ["once", "burst"],
    run: altered((answer) => header(withBody(answer, gzipSync(bodyOf(answer))), "content-encoding", "gzip")),
  },
  {
    name: "huge headers",
    sides: BOTH,
    routes: BODIES,
    patterns: ["once", "burst"],
    run: altered((answer, random) => header(answer, "x-filler", "f".repeat(random.pick([20_000, 300_000])))),
  },
  {
    name: "Range is ignored",
    sides: ["source"],
    routes: ["blob-get"],
    patterns: ["always"],
    when: ({ request }) => request.headers.range !== undefined,
    run: async (exchange) => {
      delete exchange.request.headers.range;
      await exchange.send(await exchange.handle());
    },
  },
  {
    name: "Range begins elsewhere",
    sides: ["source"],
    routes: ["blob-get"],
    patterns: ["once", "burst"],
    when: ({ request }) => request.headers.range !== undefined,
    run: altered((answer) => {
      const body = bodyOf(answer);
      const moved = Buffer.concat([body.subarray(1), body.subarray(0, 1)]);
      return header(withBody(answer, moved), "content-range", "bytes 0-9/10");
    }),
  },
];
