import type { ErrorCode } from "../errors/codes.ts";
import { TagferryError } from "../errors/error.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The error codes of a strict read. Manifests, listings and tokens have different codes. */
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
 * Parses JSON that every parser reads in the same way: UTF-8 without byte order mark, no duplicate key, at most
 * `maxDepth` levels.
 *
 * Numbers that are not safe integers become NaN, so a size is never rounded (`JSON.parse("9007199254740993")` returns
 * another number). Objects have no prototype.
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
    // the native parser is fast and checks the syntax; our walker can then rely on it
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

const SNIPPET_CHARACTERS = 120;
/** Only this part is cleaned for a message. The rest of a large body is ignored. */
const SNIPPET_READ_CHARACTERS = 1024;

/** The beginning of the body, so that a person recognises a login page. */
export function snippet(text: string): string {
  const flat = text.slice(0, SNIPPET_READ_CHARACTERS).replaceAll(/\s+/g, " ").trim();
  return flat.length > SNIPPET_CHARACTERS || text.length > SNIPPET_READ_CHARACTERS
    ? `${flat.slice(0, SNIPPET_CHARACTERS)}…`
    : flat;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
/**
 * No manifest, listing or token has so many keys in one object. With more keys, the tables of the engine become slow.
 */
const KEYS_MAX = 100_000;
/** A key in an error message is cut to this length. */
const KEY_SHOWN_CHARACTERS = 80;

/**
 * Walks text that is known to be JSON, and checks keys, depth and numbers. Each character is read once, by its index.
 * So the time is linear in the size of the text.
 */
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
      case OPENING_BRACE:
        return this.#object(depth);
      case OPENING_BRACKET:
        return this.#array(depth);
      case QUOTE:
        return this.#string();
      default:
        return this.#literal();
    }
  }

  /** Collects fields in a Map, because an object that grows to a million keys is copied in memory many times. */
  #object(depth: number): Json {
    const fields = new Map<string, Json>();
    this.#at += 1;
    while (this.#peek() !== CLOSING_BRACE) {
      if (this.#peek() === COMMA) this.#at += 1;
      this.#peek();
      const key = this.#string();
      if (fields.has(key)) throw this.#duplicate(key);
      if (fields.size >= KEYS_MAX)
        throw new TagferryError(
          this.#codes.syntax,
          `${this.#subject} has more than ${KEYS_MAX} keys in one object`,
          {
            allowed: KEYS_MAX,
          },
        );
      this.#peek();
      this.#at += 1; // the colon
      fields.set(key, this.#value(depth + 1));
    }
    this.#at += 1;
    const object = Object.create(null) as Record<string, Json>;
    for (const [key, value] of fields) object[key] = value;
    return object;
  }

  #duplicate(key: string): TagferryError {
    const shown = key.length > KEY_SHOWN_CHARACTERS ? `${key.slice(0, KEY_SHOWN_CHARACTERS)}…` : key;
    return new TagferryError(this.#codes.duplicate, `${this.#subject} has the key "${shown}" twice`, {
      found: shown,
    });
  }

  #array(depth: number): Json {
    const array: Json[] = [];
    this.#at += 1;
    while (this.#peek() !== CLOSING_BRACKET) {
      if (this.#peek() === COMMA) this.#at += 1;
      array.push(this.#value(depth + 1));
    }
    this.#at += 1;
    return array;
  }

  #string(): string {
    const text = this.#text;
    const start = this.#at;
    let at = start + 1;
    for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(at))
      at += code === BACKSLASH ? 2 : 1;
    this.#at = at + 1;
    // parsed, not sliced: a slice would keep the whole document in memory
    return JSON.parse(text.slice(start, at + 1)) as string;
  }

  #literal(): Json {
    const text = this.#text;
    const start = this.#at;
    let at = start;
    while (at < text.length && !endsLiteral(text.charCodeAt(at))) at += 1;
    this.#at = at;
    const value = JSON.parse(text.slice(start, at)) as Json;
    return typeof value === "number" && !Number.isSafeInteger(value) ? Number.NaN : value;
  }

  /** The next character that is not white space. */
  #peek(): number {
    const text = this.#text;
    while (isSpace(text.charCodeAt(this.#at))) this.#at += 1;
    return text.charCodeAt(this.#at);
  }
}

/** JSON's white space: space, tab, line feed, carriage return. @see https://www.rfc-editor.org/rfc/rfc8259#section-2 */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function endsLiteral(code: number): boolean {
  return code === COMMA || code === CLOSING_BRACKET || code === CLOSING_BRACE || isSpace(code);
}
