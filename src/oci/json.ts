import type { ErrorCode } from "../errors/codes.ts";
import { TagferryError } from "../errors/error.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Thrown codes of a strict read, so that a manifest, a listing and a token each have their own. */
export type JsonCodes = {
  readonly syntax: ErrorCode;
  readonly depth: ErrorCode;
  readonly duplicate: ErrorCode;
  readonly encoding: ErrorCode;
};

const MANIFEST_CODES: JsonCodes = {
  syntax: "MANIFEST_NOT_JSON",
  depth: "MANIFEST_DEPTH",
  duplicate: "MANIFEST_DUPLICATE_KEY",
  encoding: "MANIFEST_ENCODING",
};

/**
 * Reads JSON as two careful readers would agree on: UTF-8 without byte order mark, no key twice, at most `maxDepth` deep.
 *
 * Numbers that are not safe integers stay as NaN, so that a size can never be rounded silently
 * (`JSON.parse("9007199254740993")` is another number). Objects have no prototype.
 */
export function parseStrictJson(
  bytes: Uint8Array,
  {
    maxDepth = 64,
    codes = MANIFEST_CODES,
    subject = "document",
  }: { readonly maxDepth?: number; readonly codes?: JsonCodes; readonly subject?: string } = {},
): Json {
  const text = decodeUtf8(bytes, codes.encoding, subject);
  try {
    // The fast, native reader says whether it is JSON at all; ours then only has to walk.
    JSON.parse(text);
  } catch (cause) {
    if (cause instanceof RangeError)
      throw new TagferryError(codes.depth, `${subject} is nested too deeply`, { cause });
    throw new TagferryError(codes.syntax, `${subject} is not JSON`, { cause, found: snippet(text) });
  }
  return new Walker(text, maxDepth, codes, subject).document();
}

function decodeUtf8(bytes: Uint8Array, code: ErrorCode, subject: string): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    throw new TagferryError(code, `${subject} begins with a byte order mark`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TagferryError(code, `${subject} is not UTF-8`, { cause });
  }
}

/** The beginning of what came instead, for a person to recognise a login page by. */
export function snippet(text: string): string {
  const flat = text.replaceAll(/\s+/g, " ").trim();
  return flat.length > 120 ? `${flat.slice(0, 120)}…` : flat;
}

/** Walks text that is known to be JSON; only keys, depth and numbers need judging. */
class Walker {
  #at = 0;
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #codes: JsonCodes;
  readonly #subject: string;

  constructor(text: string, maxDepth: number, codes: JsonCodes, subject: string) {
    this.#text = text;
    this.#maxDepth = maxDepth;
    this.#codes = codes;
    this.#subject = subject;
  }

  document(): Json {
    return this.#value(1);
  }

  #value(depth: number): Json {
    if (depth > this.#maxDepth)
      throw new TagferryError(
        this.#codes.depth,
        `${this.#subject} is nested deeper than ${this.#maxDepth} levels`,
      );
    switch (this.#peek()) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
      default:
        return this.#literal();
    }
  }

  #object(depth: number): Json {
    const object: Record<string, Json> = Object.create(null) as Record<string, Json>;
    this.#at += 1;
    while (this.#peek() !== "}") {
      if (this.#peek() === ",") this.#at += 1;
      this.#peek();
      const key = this.#string();
      if (key in object)
        throw new TagferryError(this.#codes.duplicate, `${this.#subject} has the key "${key}" twice`, {
          found: key,
        });
      this.#peek();
      this.#at += 1; // the colon
      object[key] = this.#value(depth + 1);
    }
    this.#at += 1;
    return object;
  }

  #array(depth: number): Json {
    const array: Json[] = [];
    this.#at += 1;
    while (this.#peek() !== "]") {
      if (this.#peek() === ",") this.#at += 1;
      array.push(this.#value(depth + 1));
    }
    this.#at += 1;
    return array;
  }

  #string(): string {
    const start = this.#at;
    for (this.#at += 1; this.#text[this.#at] !== '"'; this.#at += 1) {
      if (this.#text[this.#at] === "\\") this.#at += 1;
    }
    this.#at += 1;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #literal(): Json {
    const start = this.#at;
    while (this.#at < this.#text.length && !/[\s,\]}]/.test(this.#text[this.#at] ?? "")) this.#at += 1;
    const value = JSON.parse(this.#text.slice(start, this.#at)) as Json;
    return typeof value === "number" && !Number.isSafeInteger(value) ? Number.NaN : value;
  }

  /** The next character that is not white space. */
  #peek(): string {
    while (/\s/.test(this.#text[this.#at] ?? "x")) this.#at += 1;
    return this.#text[this.#at] ?? "";
  }
}
