import { altered } from "./faults.ts";
import { rawAnswer } from "./raw.ts";
import type { Fault } from "./rules.ts";
import {
  type Answer,
  type RegistryRequest,
  sendBody,
  untilGone,
  withoutUndefined,
  writeBody,
} from "./wire.ts";

/** Waits, then goes on as usual. */
export function delay(delayMs: number): Fault {
  return async ({ gone }, respondNormally) => {
    await pause(delayMs, gone);
    return respondNormally();
  };
}

async function pause(delayMs: number, gone: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, delayMs);
  gone.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}

/** Acts, then falls silent: before the headers, or after so many bytes of the body, until the client leaves. */
export function stall({ afterBytes }: { afterBytes?: number } = {}): Fault {
  return altered((answer) => ({
    ...answer,
    send: async (request) => {
      if (afterBytes !== undefined) await startBody(request, answer, afterBytes);
      await untilGone(request.gone);
    },
  }));
}

/** Sends the body so many bytes at a time, with a pause after each. */
export function drip({ bytes = 1, intervalMs }: { bytes?: number; intervalMs: number }): Fault {
  return altered((answer) => ({
    ...answer,
    send: async (request) => {
      const body = answer.body ?? Buffer.of();
      await startBody(request, answer, 0);
      for (let at = 0; at < body.length && !request.gone.aborted; at += bytes) {
        await writeBody(request, body.subarray(at, at + bytes));
        await pause(intervalMs, request.gone);
      }
      request.response.end();
    },
  }));
}

/** Sends the body in parts that end at these offsets, and waits between them. */
export function inParts(ends: readonly number[], wait: (part: number) => Promise<void>): Fault {
  return altered((answer) => ({
    ...answer,
    send: async (request) => {
      const body = answer.body ?? Buffer.of();
      await startBody(request, answer, 0);
      let at = 0;
      for (const [part, end] of ends.entries()) {
        await writeBody(request, body.subarray(at, end));
        at = end;
        await Promise.race([wait(part), untilGone(request.gone)]);
      }
      await writeBody(request, body.subarray(at));
      request.response.end();
    },
  }));
}

async function startBody(request: RegistryRequest, answer: Answer, bytes: number): Promise<void> {
  const body = answer.body ?? Buffer.of();
  request.response.writeHead(answer.status, {
    "content-length": body.length,
    ...withoutUndefined(answer.headers),
  });
  request.response.flushHeaders();
  if (request.method !== "HEAD") await writeBody(request, body.subarray(0, bytes));
}

export type BreakOptions = {
  /** Breaks after so many bytes of the answer's body. */
  readonly afterBytes?: number;
  /** Breaks when so many bytes of the request have come; the registry does not act. */
  readonly afterRequestBytes?: number;
  /** The registry has acted, the answer is lost. */
  readonly handled?: boolean;
  /** RST (default) or FIN. */
  readonly by?: "reset" | "close";
};

/** Breaks the connection: without options as soon as the headers of the request have come. */
export function reset({
  afterBytes,
  afterRequestBytes,
  handled = false,
  by = "reset",
}: BreakOptions = {}): Fault {
  const end = (request: RegistryRequest): void => request.break(by);
  const nothing: Answer = { status: 0, headers: {}, send: async (request) => end(request) };
  return async (request, respondNormally) => {
    if (afterRequestBytes !== undefined) {
      await readPart(request, afterRequestBytes);
      return nothing;
    }
    if (afterBytes === undefined && !handled) return nothing;
    const answer = await respondNormally();
    if (afterBytes === undefined) return nothing;
    return {
      ...answer,
      send: async (sent) => {
        await startBody(sent, answer, afterBytes);
        // a reset drops what has not left yet, so let it leave first
        await new Promise<void>((resolve) => sent.response.write("", () => resolve()));
        end(sent);
      },
    };
  };
}

async function readPart({ body }: RegistryRequest, bytes: number): Promise<void> {
  let read = 0;
  if (bytes <= 0) return;
  for await (const chunk of body) {
    read += chunk.length;
    if (read >= bytes) return;
  }
}

/** The registry gets only so many bytes of the request, then the connection breaks. It keeps those bytes. */
export function interruptedUpload(afterRequestBytes: number): Fault {
  return async (request, respondNormally) => {
    const { body } = request;
    const cut = async function* (): AsyncGenerator<Uint8Array> {
      let left = afterRequestBytes;
      for await (const chunk of body) {
        yield chunk.subarray(0, left);
        left -= chunk.length;
        if (left <= 0) break;
      }
      request.break();
      throw Object.assign(new Error("aborted"), { code: "ECONNRESET" });
    };
    Object.assign(request, { body: { [Symbol.asyncIterator]: cut } });
    return respondNormally();
  };
}

/** Answers after so many bytes of the request, with the rest still under way. */
export function earlyAnswer(afterRequestBytes: number, fault: Fault): Fault {
  return async (request, respondNormally) => {
    await readPart(request, afterRequestBytes);
    return fault(request, respondNormally);
  };
}

/** These bytes instead of an answer, then the end of the connection. */
export function raw(bytes: string | Uint8Array, { status: code = 0 } = {}): Fault {
  return () => rawAnswer(bytes, code);
}

/** Header lines that end in LF only, as Docker Hub's HAProxy sent its 429. */
export function lineFeedsOnly(
  code = 429,
  { headers = {}, body = "Too Many Requests" }: { headers?: Record<string, string>; body?: string } = {},
): Fault {
  const lines = Object.entries({ "content-length": String(body.length), ...headers });
  const text = [`HTTP/1.1 ${code} Too Many Requests`, ...lines.map(([name, value]) => `${name}: ${value}`)];
  return raw(`${text.join("\n")}\n\n${body}`, { status: code });
}

/** The usual answer, with a header line more (twice Content-Length, a negative one, 20 KiB of anything). */
export function headerLines(...lines: readonly string[]): Fault {
  return altered((answer) => {
    const own = Object.entries(withoutUndefined(answer.headers)).map(
      ([name, value]) => `${name}: ${String(value)}`,
    );
    const head = [`HTTP/1.1 ${answer.status} X`, ...own, ...lines].join("\r\n");
    const body = answer.body ?? Buffer.of();
    return { ...answer, ...rawAnswer(Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body]), answer.status) };
  });
}

/** Two Content-Length lines that disagree. */
export function duplicateContentLength(first: number, second: number): Fault {
  return headerLines(`content-length: ${first}`, `content-length: ${second}`);
}

/** So many 1xx answers before the usual one. */
export function informational(count: number): Fault {
  return altered((answer) => ({
    ...answer,
    send: async (request) => {
      const { response } = request;
      const flood = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n".repeat(count);
      await new Promise<void>((resolve) => {
        if (!response.socket?.write(flood, () => resolve())) response.socket?.once("close", () => resolve());
      });
      response.writeHead(answer.status, {
        "content-length": answer.body?.length ?? 0,
        ...withoutUndefined(answer.headers),
      });
      await sendBody(request, request.method === "HEAD" ? Buffer.of() : (answer.body ?? Buffer.of()));
    },
  }));
}

/** The usual answer, followed by another one without a request. */
export function unsolicited(bytes: string | Uint8Array): Fault {
  return altered((answer) => ({
    ...answer,
    send: async (request) => {
      const { response } = request;
      const { socket } = response;
      response.writeHead(answer.status, {
        "content-length": answer.body?.length ?? 0,
        ...withoutUndefined(answer.headers),
      });
      const finished = new Promise<void>((resolve) => response.once("finish", () => resolve()));
      await sendBody(request, request.method === "HEAD" ? Buffer.of() : (answer.body ?? Buffer.of()));
      await Promise.race([finished, untilGone(request.gone)]);
      if (!socket?.destroyed) socket?.write(bytes);
    },
  }));
}
