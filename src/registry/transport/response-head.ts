import type { Headers } from "../profile.ts";

/** The beginning of an HTTP answer that is plain enough for the reader of large bodies. */
export type ResponseHead = {
  readonly status: number;
  readonly headers: Headers;
  readonly bodyBytes: number;
  /** Whether the connection can be used for another request after the body. */
  readonly keepAlive: boolean;
};

/** The ordinary client is used for answers with a longer head. */
export const HEAD_MAX_BYTES = 16 * 1024;

const VERSIONS = ["HTTP/1.0 ", "HTTP/1.1 "];
const VERSION_LENGTH = 9;
const [TAB, LF, CR, SPACE, DELETE] = [0x09, 0x0a, 0x0d, 0x20, 0x7f];

/**
 * The position of the empty line after a head. undefined: it has not arrived yet. `odd`: this reader does not accept
 * the head (a control character, a line that ends with LF only, a byte that is not ASCII, not HTTP/1). Reads each byte
 * once: `fromByte` is the position where the last call ended.
 */
export function findHeadEnd(bytes: Uint8Array, fromByte: number): number | "odd" | undefined {
  for (let at = fromByte; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (at < 5 && byte !== VERSIONS[0]?.charCodeAt(at)) return "odd";
    const afterCr = bytes[at - 1] === CR;
    if (afterCr !== (byte === LF)) return "odd";
    if (byte === LF && at >= 3 && bytes[at - 2] === LF) return at - 3;
    if (byte !== TAB && byte !== LF && byte !== CR && (byte < SPACE || byte >= DELETE)) return "odd";
  }
  return undefined;
}

/**
 * Reads status and headers, without the empty line after them.
 *
 * undefined when it is not a final answer with one Content-Length: interim answers, chunked or unbounded bodies, folded
 * lines, spaces around names, contradictory lengths. The ordinary client sends the request again.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112
 */
export function parseResponseHead(text: string): ResponseHead | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const status = statusOf(first);
  const headers = headersOf(lines);
  if (status === undefined || headers === undefined) return undefined;
  const length = headers["content-length"];
  const isPlain = typeof length === "string" && /^\d{1,15}$/.test(length);
  if (!isPlain || headers["transfer-encoding"] !== undefined) return undefined;
  return {
    status,
    headers,
    bodyBytes: Number(length),
    keepAlive: first.startsWith("HTTP/1.1") && !connectionOptions(headers).includes("close"),
  };
}

function statusOf(line: string): number | undefined {
  if (!VERSIONS.includes(line.slice(0, VERSION_LENGTH))) return undefined;
  const digits = line.slice(VERSION_LENGTH, VERSION_LENGTH + 3);
  if (!/^[2-5]\d\d$/.test(digits) || line[VERSION_LENGTH + 3] !== " ") return undefined;
  const status = Number(digits);
  return status === 204 || status === 304 ? undefined : status; // they never have a body
}

function headersOf(lines: readonly string[]): Headers | undefined {
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    const value = withoutLeadingSpace(line, colon + 1);
    if (!isToken(name) || value === undefined) return undefined;
    const before = headers[name];
    headers[name] =
      before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
  }
  return headers;
}

/** undefined when the line ends with a space, because parsers interpret this differently. */
function withoutLeadingSpace(line: string, from: number): string | undefined {
  let start = from;
  while (line[start] === " " || line[start] === "\t") start += 1;
  const value = line.slice(start);
  return value.endsWith(" ") || value.endsWith("\t") ? undefined : value;
}

function isToken(name: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name);
}

function connectionOptions({ connection = [] }: Headers): readonly string[] {
  return [connection]
    .flat()
    .join(",")
    .toLowerCase()
    .split(",")
    .map((option) => option.trim());
}
