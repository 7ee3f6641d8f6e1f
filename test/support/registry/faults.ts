import type { OutgoingHttpHeaders } from "node:http";
import { gzipSync } from "node:zlib";

import { brokenBody, type Framing } from "./raw.ts";
import type { Fault } from "./rules.ts";
import { type Answer, type Awaitable, readAll, refusal, type RegistryRequest } from "./wire.ts";

type StatusOptions = { readonly headers?: OutgoingHttpHeaders; readonly body?: string | Uint8Array };

/** No fault, for a position in a sequence. */
export const normally: Fault = (_request, respondNormally) => respondNormally();

/** Answers at once; the registry does not act. */
export function status(code: number, { headers = {}, body = "" }: StatusOptions = {}): Fault {
  return () => ({
    status: code,
    headers: { "content-type": "text/plain; charset=utf-8", ...headers },
    body: Buffer.from(body),
  });
}

/** An error in the words of the distribution spec. */
export function registryError(
  code: number,
  error: string,
  { message, headers = {} }: { message?: string; headers?: OutgoingHttpHeaders } = {},
): Fault {
  const answer = refusal(code, error, message);
  return () => ({ ...answer, headers: { ...answer.headers, ...headers } });
}

/** An HTML page, as proxies and login portals send it. */
export function html(code: number, title = "Sign in", headers: OutgoingHttpHeaders = {}): Fault {
  const body = `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`;
  return status(code, { headers: { "content-type": "text/html; charset=utf-8", ...headers }, body });
}

export function rateLimited(retryAfter?: string | number, headers: OutgoingHttpHeaders = {}): Fault {
  const after = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
  return registryError(429, "TOOMANYREQUESTS", {
    message: "You have reached your pull rate limit.",
    headers: { ...after, ...headers },
  });
}

/** Sends the usual answer with a header set, or (null) left out. */
export function header(name: string, value: string | string[] | null): Fault {
  return altered((answer) => {
    const kept = Object.entries(answer.headers).filter(([key]) => key.toLowerCase() !== name.toLowerCase());
    return {
      ...answer,
      headers: { ...Object.fromEntries(kept), ...(value === null ? {} : { [name]: value }) },
    };
  });
}

/** Sends the usual answer changed by `change`. */
export function altered(change: (answer: Answer, request: RegistryRequest) => Awaitable<Answer>): Fault {
  return async (request, respondNormally) => change(await respondNormally(), request);
}

/** Sends the usual headers with another body. Headers about the old body stay. */
export function replaceBody(body: string | Uint8Array | ((body: Uint8Array) => Uint8Array)): Fault {
  return altered((answer) => ({
    ...answer,
    body: typeof body === "function" ? body(answer.body ?? Buffer.of()) : Buffer.from(body),
  }));
}

/** Right size, one byte wrong. */
export function corruptBody({ at }: { at?: number } = {}): Fault {
  return replaceBody((body) => {
    const corrupted = Uint8Array.from(body);
    const index = at ?? Math.floor(body.length / 2);
    corrupted[index] = (corrupted[index] ?? 0) ^ 0xff;
    return corrupted;
  });
}

/** Ends after so many bytes. `content-length` announces them all; other framings are well-formed but too short. */
export function shortBody(
  bytes: number,
  { framing = "content-length" }: { readonly framing?: Framing } = {},
): Fault {
  return altered((answer) =>
    brokenBody(answer, { sent: answer.body?.subarray(0, bytes) ?? Buffer.of(), framing }),
  );
}

/** Sends so many bytes more than the content has, well-formed. */
export function longBody(
  extraBytes: number,
  { framing = "content-length" }: { readonly framing?: Framing } = {},
): Fault {
  return altered((answer) => {
    const body = Buffer.concat([answer.body ?? Buffer.of(), Buffer.alloc(extraBytes, "+")]);
    if (framing === "content-length") return { ...answer, body };
    return brokenBody({ ...answer, body }, { sent: body, framing });
  });
}

/** Content-Encoding with a body that is really encoded, as a proxy would. `identity` only says so. */
export function contentEncoding(encoding: "gzip" | "identity" | "br"): Fault {
  return altered((answer) => ({
    ...answer,
    headers: { ...answer.headers, "content-encoding": encoding },
    ...(answer.body ? { body: encoding === "gzip" ? gzipSync(answer.body) : answer.body } : {}),
  }));
}

/** `to` undefined: a redirect that names no place. */
export function redirect(to: string | undefined, code = 307): Fault {
  return () => ({ status: code, headers: to === undefined ? {} : { location: to } });
}

/** Removes a header of the request before the registry reads it: an ignored Range, a lost Accept. */
export function ignoring(name: string): Fault {
  return (request, respondNormally) => {
    delete request.headers[name.toLowerCase()];
    return respondNormally();
  };
}

/** Runs a task (moves a tag, collects garbage, revokes tokens), then continues as usual. */
export function doing(effect: (request: RegistryRequest) => Awaitable<unknown>): Fault {
  return async (request, respondNormally) => {
    await effect(request);
    return respondNormally();
  };
}

/** Handles the request as usual, then runs a task before the answer is sent. */
export function afterwards(effect: (request: RegistryRequest) => Awaitable<unknown>): Fault {
  return async (request, respondNormally) => {
    const answer = await respondNormally();
    await effect(request);
    return answer;
  };
}

/** Several faults for one request, the first being the outermost. */
export function together(...faults: readonly Fault[]): Fault {
  return faults.reduceRight<Fault>(
    (inner, outer) => (request, respondNormally) =>
      outer(request, async () => inner(request, respondNormally)),
    normally,
  );
}

/** Takes the whole request and answers 200 to whatever it was. */
export const acceptsEverything: Fault = async ({ body }) => {
  await readAll(body);
  return { status: 200, headers: { "content-type": "text/plain" }, body: Buffer.from("ok") };
};
