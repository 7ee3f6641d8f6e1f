import { Duplex } from "node:stream";

import { Client } from "undici";
import { expect, test } from "vitest";

import type { Connection } from "../../../src/registry/transport/connection.ts";
import { exchange } from "../../../src/registry/transport/exchange.ts";
import { type Random, randomOf } from "../../faults/random.ts";

/*
 * Compares the reader of large bodies with undici: for each answer it has the same result as undici, or it declines.
 * More cases by hand: LARGE_READS_CASES=1000000 LARGE_READS_SEED=2 npx vitest run
 * test/registry/transport/large-reads-fuzz.test.ts
 */
const CASES = Number(process.env["LARGE_READS_CASES"] ?? 20_000);
const SEED = process.env["LARGE_READS_SEED"] ?? "1";

type Outcome =
  | { readonly kind: "declined" }
  | { readonly kind: "failed" }
  | { readonly kind: "broken"; readonly status: number; readonly headers: string }
  | { readonly kind: "answered"; readonly status: number; readonly headers: string; readonly body: string };

/** The bytes of one answer, in pieces. Then the server closes the connection. */
type Case = { readonly pieces: readonly Buffer[]; readonly bodyBytes: number };

const NAMES = [
  "Content-Length",
  "content-length",
  "Transfer-Encoding",
  "Connection",
  "X-A",
  "Docker-Content-Digest",
];
const VALUES = [
  "0",
  "1",
  "5",
  "+5",
  "-1",
  "05",
  "5, 5",
  "0x5",
  "",
  " 5",
  "5 ",
  "\t5\t",
  "chunked",
  "close",
  "keep-alive",
];
const STARTS = [
  "HTTP/1.1 200 OK",
  "HTTP/1.1 206 Partial",
  "HTTP/1.0 200 OK",
  "HTTP/1.1 307 Go",
  "HTTP/1.1 404 No",
];
const ODD_STARTS = [
  "HTTP/1.1 100 Continue",
  "HTTP/1.1 204 None",
  "HTTP/1.1 304 Same",
  "HTTP/2.0 200 OK",
  "HTTP/1.1 200",
];
const ODD_PARTS = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  "\x7f",
  "\xe9",
  "a",
  "5",
  "\r\n ",
  "\n\n",
  "\r\n\r\n",
];

function headOf(random: Random, bodyBytes: number): string {
  const start = random.pick(random.chance(0.85) ? STARTS : ODD_STARTS);
  const lines = [`Content-Length: ${bodyBytes}`];
  if (random.chance(0.1)) lines.pop();
  const more = random.int(0, 3);
  for (let count = 0; count < more; count += 1) {
    const line = random.chance(0.5)
      ? `${random.pick(NAMES)}: ${random.pick(VALUES)}`
      : `X-${random.int(0, 9)}: ${"v".repeat(random.pick([0, 1, 9, 300]))}`;
    lines.splice(random.int(0, lines.length), 0, line);
  }
  return `${[start, ...lines].join("\r\n")}\r\n\r\n`;
}

/** Inserts, replaces, removes or doubles a few characters. */
function mutated(head: string, random: Random): string {
  let text = head;
  for (let left = random.int(1, 2); left > 0; left -= 1) {
    const at = random.int(0, text.length - 1);
    const taken = random.pick([0, 0, 1, 1, random.int(0, 8)]);
    const put = random.pick([random.pick(ODD_PARTS), random.pick(ODD_PARTS), "", text.slice(at, at + 9)]);
    text = `${text.slice(0, at)}${put}${text.slice(at + taken)}`;
  }
  return text;
}

function caseOf(random: Random): Case {
  const bodyBytes = random.pick([0, 1, 5, 5, random.int(0, 300), random.chance(0.02) ? 70_000 : 5]);
  const head = headOf(random, bodyBytes);
  const surplus = random.chance(0.1)
    ? random.pick(["x", "\r\n", "HTTP/1.1 200 OK\r\n\r\n", "0\r\n\r\n"])
    : "";
  const bytes = Buffer.concat([
    Buffer.from(random.chance(0.6) ? mutated(head, random) : head, "latin1"),
    random.bytes(bodyBytes),
    Buffer.from(surplus),
  ]);
  const end = random.chance(0.15) ? random.int(0, bytes.length) : bytes.length;
  return { pieces: splitUp(bytes.subarray(0, end), random), bodyBytes };
}

function splitUp(bytes: Buffer, random: Random): readonly Buffer[] {
  if (random.chance(0.1) && bytes.length < 400) return Array.from(bytes, (byte) => Buffer.of(byte));
  const cuts = Array.from({ length: random.int(0, 4) }, () => random.int(0, bytes.length));
  const ends = [...cuts, bytes.length].toSorted((one, other) => one - other);
  return ends
    .map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
    .filter(({ length }) => length > 0);
}

/** A connection that the other side closes after the pieces. Reading never waits. */
function connectionOf(pieces: readonly Buffer[]): Connection & { readonly left: () => number } {
  const rest = [...pieces];
  return {
    send: () => {},
    read: async () => rest.shift(),
    get isFit() {
      return rest.length === 0;
    },
    destroy: () => {},
    left: () => rest.length,
  };
}

const URL_ASKED = new URL("http://fuzz.example/v2/a/blobs/b");

async function ours({ pieces }: Case): Promise<Outcome & { readonly isKept?: boolean }> {
  const connection = connectionOf(pieces);
  let isKept = false;
  const options = { firstByteTimeoutMs: 60_000, onFree: (free: Connection) => void (isKept = free.isFit) };
  let answer;
  try {
    answer = await exchange(connection, { url: URL_ASKED, headers: {} }, options);
  } catch {
    return { kind: "failed" };
  }
  if (!answer) return { kind: "declined" };
  const facts = { status: answer.statusCode, headers: shown(answer.headers) };
  try {
    const body = await hexOf(answer.body);
    answer.close();
    return { kind: "answered", ...facts, body, isKept };
  } catch {
    return { kind: "broken", ...facts };
  }
}

/** Sends its pieces one by one after a request, then ends. */
class Wire extends Duplex {
  readonly #rest: Buffer[];
  #isAsked = false;

  constructor(pieces: readonly Buffer[]) {
    super({ readableHighWaterMark: 1, allowHalfOpen: true });
    this.#rest = [...pieces];
  }
  override _read(): void {
    if (this.#isAsked) this.#sendNext();
  }
  #sendNext(): void {
    this.push(this.#rest.shift() ?? null);
  }
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    const isFirst = !this.#isAsked;
    this.#isAsked = true;
    done();
    if (isFirst) setImmediate(() => this.destroyed || this.#sendNext());
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

/** If a server closes while undici's reader is behind, undici loses the rest. So the reader here is never behind. */
async function undicis({ pieces }: Case): Promise<Outcome> {
  const client = new Client(URL_ASKED.origin, {
    connect: (_options, callback) => void setImmediate(callback, null, new Wire(pieces) as never),
    maxHeaderSize: 32 * 1024,
  });
  try {
    const { statusCode, headers, body } = await client.request({
      method: "GET",
      path: URL_ASKED.pathname,
      highWaterMark: 1024 * 1024,
    });
    const facts = { status: statusCode, headers: shown(headers) };
    try {
      return { kind: "answered", ...facts, body: await hexOf(body as AsyncIterable<Buffer>) };
    } catch {
      return { kind: "broken", ...facts };
    }
  } catch {
    return { kind: "failed" };
  } finally {
    void client.destroy();
  }
}

function shown(headers: Readonly<Record<string, string | string[] | undefined>>): string {
  return JSON.stringify(Object.entries(headers).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

async function hexOf(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString("base64");
}

/** The violation; undefined when there is none. */
function wrongWith(
  mine: Outcome & { readonly isKept?: boolean },
  theirs: Outcome,
  one: Case,
): string | undefined {
  if (mine.kind === "declined") return undefined;
  const { isKept = false, ...outcome } = mine;
  // small answers are read completely first: then a body that breaks is a failure of the whole request
  const isSame =
    JSON.stringify(outcome) === JSON.stringify(theirs) ||
    (outcome.kind === "failed" && theirs.kind === "broken");
  if (isSame && !(isKept && mustClose(outcome, one))) return undefined;
  const bytes = JSON.stringify(Buffer.concat(one.pieces).toString("latin1").slice(0, 400));
  return `${bytes}: ours ${JSON.stringify(mine).slice(0, 300)}, undici's ${JSON.stringify(theirs).slice(0, 300)}`;
}

/** Whether the connection cannot be used again: the server said so, or sent more than the answer. */
function mustClose(outcome: Outcome, { pieces }: Case): boolean {
  if (outcome.kind !== "answered") return true;
  const bytes = Buffer.concat(pieces);
  const end = bytes.indexOf("\r\n\r\n") + 4 + Buffer.from(outcome.body, "base64").length;
  const { connection = "" } = Object.fromEntries(
    JSON.parse(outcome.headers) as (readonly [string, string | string[]])[],
  );
  const options = [connection].flat().join(",").toLowerCase().split(",");
  return bytes.length !== end || options.some((option) => option.trim() === "close");
}

test(
  `makes of ${CASES} answers what undici makes of them, or declines (seed ${SEED})`,
  { timeout: 1e9 },
  async () => {
    const counts: Record<Outcome["kind"], number> = { declined: 0, failed: 0, broken: 0, answered: 0 };
    const wrong: string[] = [];
    const run = async (index: number): Promise<void> => {
      const one = caseOf(randomOf(`${SEED}/${index}`));
      const [mine, theirs] = await Promise.all([ours(one), undicis(one)]);
      counts[mine.kind] += 1;
      const found = wrongWith(mine, theirs, one);
      if (found !== undefined && wrong.length < 10) wrong.push(`case ${index}, ${found}`);
    };
    for (let from = 0; from < CASES; from += 50)
      await Promise.all(Array.from({ length: Math.min(50, CASES - from) }, (_, index) => run(from + index)));
    console.log(`large reads against undici: ${JSON.stringify(counts)}`);
    expect(wrong).toEqual([]);
    // neither side of the comparison is empty
    expect(Math.min(counts.answered, counts.declined) / CASES).toBeGreaterThan(0.2);
    expect(Math.min(counts.failed, counts.broken)).toBeGreaterThan(0);
  },
);
