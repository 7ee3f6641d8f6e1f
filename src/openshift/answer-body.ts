import type { Dispatcher } from "undici";

import { TagferryError } from "../errors/error.ts";
import { printable } from "../lib/error.ts";

const ANSWER_MAX_BYTES = 64 * 1024 * 1024;

/**
 * Reads a whole body as JSON; undefined: it is empty. The body of an error may be a page: its text becomes the message.
 *
 * @throws {TagferryError} CLUSTER_ANSWER
 */
export async function readJson(response: Dispatcher.ResponseData, where: string): Promise<unknown> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > ANSWER_MAX_BYTES)
      throw new TagferryError("CLUSTER_ANSWER", `${where}: the answer is too long`, {
        where,
        allowed: ANSWER_MAX_BYTES,
      });
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    // not from the API server but from a login page or a router: the status is enough
    if (response.statusCode >= 300) return { message: printable(text, { maxLength: 200 }) };
    throw new TagferryError("CLUSTER_ANSWER", `${where}: the API server did not answer with JSON`, {
      cause,
      where,
      found: printable(text, { maxLength: 120 }),
    });
  }
}

/**
 * Reads a body whose lines are JSON, line by line.
 *
 * @throws {TagferryError} CLUSTER_ANSWER
 */
export async function* readLines(
  body: AsyncIterable<Buffer>,
  where: string,
): AsyncGenerator<unknown, void, void> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for await (const chunk of body) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      yield parseLine(Buffer.concat([...begun, chunk.subarray(from, end)]), where);
      begun = [];
      begunBytes = 0;
      from = end + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
    begunBytes += chunk.length - from;
    if (begunBytes > ANSWER_MAX_BYTES)
      throw new TagferryError("CLUSTER_ANSWER", `${where}: a line of the answer is too long`, {
        where,
        allowed: ANSWER_MAX_BYTES,
      });
  }
}

function parseLine(line: Buffer, where: string): unknown {
  const text = line.toString("utf8");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TagferryError("CLUSTER_ANSWER", `${where}: the API server did not answer with lines of JSON`, {
      cause,
      where,
      found: printable(text, { maxLength: 120 }),
    });
  }
}
