import type { Headers } from "../profile.ts";

/** The beginning of an HTTP answer that is plain enough to be read by hand. */
export type ResponseHead = {
  readonly status: number;
  readonly headers: Headers;
  readonly bodyBytes: number;
  /** Whether the connection is good for another request after the body. */
  readonly keepAlive: boolean;
};

const STATUS_LINE = /^HTTP\/1\.([01]) ([2-5]\d\d)(?: [^\r\n]*)?$/;
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*?)[ \t]*$/;

/**
 * Reads status and headers up to their empty line. Undefined for whatever is not a finished answer with one Content-Length:
 * interim answers, chunked or unbounded bodies, folded lines, lengths that contradict each other. Those are for a real parser.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112
 */
export function parseResponseHead(text: string): ResponseHead | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const [, minor, status] = STATUS_LINE.exec(first) ?? [];
  if (status === undefined) return undefined;
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const line of lines) {
    const [, name, value] = HEADER_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return undefined;
    const key = name.toLowerCase();
    const before = headers[key];
    headers[key] = before === undefined ? value : [before, value].flat();
  }
  const length = headers["content-length"];
  const plain = typeof length === "string" && /^\d{1,15}$/.test(length);
  if (!plain || headers["transfer-encoding"] !== undefined || status === "204" || status === "304")
    return undefined;
  const connection = [headers["connection"] ?? []].flat().join(",").toLowerCase();
  return {
    status: Number(status),
    headers,
    bodyBytes: Number(length),
    keepAlive: minor === "1" && !/\bclose\b/.test(connection),
  };
}
