import type { Dispatcher } from "undici";

import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { budgetOf } from "../../errors/retry-budget.ts";
import type { DirectAnswer } from "../transport/exchange.ts";
import { errorOfTransport } from "./error.ts";
import { aboveFloor, type Floor } from "./floor.ts";
import type { Answer, Ask } from "./request.ts";

/** How much of an error's body is read. */
const ERROR_BODY_BYTES = 64 * 1024;
/** How long an error's body is read. The status is enough when it takes longer. */
const ERROR_BODY_MS = 2_000;
/** How long the rest of a body may take, so that its connection can be used again. */
const REST_MS = 1_000;

/** An answer of one of the two clients, in one form. */
export type Response = Pick<Answer, "status" | "headers" | "body"> & {
  /** Reads a short rest of the body, and returns the connection to its pool. Ends the connection otherwise. */
  close(): Promise<void>;
  /** Ends the connection. A reader of the body gets an error. */
  abort(): void;
};

export function fromDirect(answer: DirectAnswer): Response {
  const { statusCode: status, headers, body } = answer;
  return { status, headers, body, close: async () => answer.close(), abort: () => answer.close() };
}

export function fromClient({ statusCode: status, headers, body }: Dispatcher.ResponseData): Response {
  const ignoreErrors = (): void => void body.on("error", () => {});
  return {
    status,
    headers,
    body,
    async close() {
      ignoreErrors();
      if (body.destroyed || body.readableEnded) return;
      // a body that is promised and never sent would hold its connection, and us
      await body.dump({ limit: ERROR_BODY_BYTES, signal: AbortSignal.timeout(REST_MS) }).catch(() => {});
    },
    abort() {
      ignoreErrors();
      body.destroy();
    },
  };
}

type AnswerContext = Floor & {
  readonly url: URL;
  readonly ask: Ask;
  /** The signal of the caller. Its retry budget counts the time without an answer. */
  readonly signal: AbortSignal | undefined;
};

export type OpenAnswer = Answer & Pick<Response, "abort">;

export function answerOf(response: Response, { url, ask, signal, ...floor }: AnswerContext): OpenAnswer {
  const { status, headers, body } = response;
  const { where } = ask.subject;
  return {
    status,
    headers,
    url,
    body,
    abort: () => response.abort(),
    async bytes(maxBytes) {
      try {
        return await bytesOf(aboveFloor(body, floor, where), maxBytes, where);
      } catch (error) {
        const failure = errorOfTransport(error, { where, signal });
        if (isTagferryError(failure, "STALLED")) budgetOf(signal)?.waited(floor.floorWindowMs);
        throw failure;
      }
    },
    [Symbol.asyncDispose]: () => response.close(),
  };
}

async function bytesOf(body: AsyncIterable<Buffer>, maxBytes: number, where: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of body) {
    total += chunk.length;
    if (total > maxBytes)
      throw new TagferryError("HTTP_PROTOCOL", `${where}: the answer is longer than ${maxBytes} bytes`, {
        where,
        allowed: maxBytes,
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Reads the relevant part of an error's body, as far as it comes in time. */
export async function drain(answer: OpenAnswer): Promise<string> {
  const chunks: Buffer[] = [];
  using _ = setTimeout(() => answer.abort(), ERROR_BODY_MS);
  try {
    let total = 0;
    for await (const chunk of answer.body) {
      chunks.push(Buffer.from(chunk));
      total += chunk.length;
      if (total > ERROR_BODY_BYTES) break;
    }
  } catch {
    // the status and what came are enough
  }
  return Buffer.concat(chunks).subarray(0, ERROR_BODY_BYTES).toString("utf8");
}

/** Releases the slot when the answer is disposed of. */
export function release(answer: Answer, slot: Disposable): Answer {
  let held = true;
  return {
    ...answer,
    async [Symbol.asyncDispose]() {
      if (held) slot[Symbol.dispose]();
      held = false;
      await answer[Symbol.asyncDispose]();
    },
  };
}
