import { describe, expect, test } from "vitest";

import { parseAuthFile } from "../src/config/credentials/auth-file.ts";
import { parseDuration } from "../src/config/duration.ts";
import { parseIndex } from "../src/layout/index-file.ts";
import { printable } from "../src/lib/error.ts";
import { oneLine } from "../src/lib/pretty.ts";
import { redact } from "../src/lib/redact.ts";
import { isDigest } from "../src/oci/digest.ts";
import { parseStrictJson, snippet } from "../src/oci/json.ts";
import { parseManifest } from "../src/oci/manifest.ts";
import {
  isRepositoryName,
  isTag,
  parseReference,
  parseRegistry,
  parseRepository,
} from "../src/oci/reference.ts";
import { parseVersion } from "../src/plan/version.ts";
import { uploadLocation } from "../src/registry/api/upload-location.ts";
import { parseChallenges } from "../src/registry/auth/challenge.ts";
import { checkRealm } from "../src/registry/auth/realm.ts";
import { errorOfResponse } from "../src/registry/http/error.ts";
import { nextPage } from "../src/registry/http/link-header.ts";
import { pageText } from "../src/registry/http/page-text.ts";
import { parseRetryAfter } from "../src/registry/http/retry-after.ts";
import { DISTRIBUTION_LISTING } from "../src/registry/listing/distribution.ts";
import { classOfHost } from "../src/registry/transport/private-address.ts";
import { findHeadEnd, parseResponseHead } from "../src/registry/transport/response-head.ts";
import { bearerOf } from "../src/web/access/caller.ts";
import { readHook } from "../src/web/webhooks/payload.ts";

/** Reading bytes from outside takes time in proportion to their number, whatever they contain. */
type Parser = {
  readonly what: string;
  readonly read: (text: string) => unknown;
  /** The greatest length that it can get. */
  readonly maxLength: number;
  /** The text before the repeated part. */
  readonly prefixes?: readonly string[];
  /** The repeated text. Parsers that make their own text use only the length. */
  readonly repeated?: readonly string[];
};

const KIB = 1024;
const HEADER = 32 * KIB;
const REGISTRY = new URL("https://registry.example/v2/");
const bytes = (text: string): Buffer => Buffer.from(text, "utf8");
const subject = { action: "pull", what: "manifest", where: "registry.example/a" } as const;
const refusal = (body: string): unknown => errorOfResponse({ status: 500, headers: {}, body }, subject);
const quoted = (text: string): string => JSON.stringify(text);

const PARSERS: readonly Parser[] = [
  {
    what: "the head of an answer",
    read: parseResponseHead,
    maxLength: 16 * KIB,
    prefixes: [
      "",
      "HTTP/1.1 200 ",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: ",
      "HTTP/1.1 200 OK\r\nConnection: ",
    ],
  },
  {
    what: "the end of a head",
    read: (text) => findHeadEnd(bytes(text), 0),
    maxLength: 16 * KIB,
    prefixes: ["HTTP/1.1 200 "],
  },
  {
    what: "a challenge",
    read: parseChallenges,
    maxLength: HEADER,
    prefixes: ["", 'Bearer realm="', "Bearer realm=", 'Bearer realm="https://a/",scope="repository:'],
  },
  {
    what: "a realm",
    read: (text) => checkRealm(text, { registryUrl: REGISTRY, tokenRealms: [] }),
    maxLength: HEADER,
    prefixes: ["", "https://", "//"],
  },
  {
    what: "a Link",
    read: (text) => nextPage(text, REGISTRY),
    maxLength: HEADER,
    prefixes: ["", "</a>;", '</a>; rel="', "<"],
  },
  {
    what: "a Retry-After",
    read: (text) => parseRetryAfter({ "retry-after": text }, ""),
    maxLength: HEADER,
    prefixes: ["", "1"],
  },
  {
    what: "a time to wait in a text",
    read: (text) => parseRetryAfter({}, text),
    maxLength: 64 * KIB,
    prefixes: ["", "retry-after: ", "retry-after: 1"],
  },
  {
    what: "where an upload goes on",
    read: (text) => uploadLocation(text, REGISTRY, ""),
    maxLength: HEADER,
    prefixes: ["", "https://", "/v2/"],
  },
  { what: "a host name", read: classOfHost, maxLength: HEADER, prefixes: ["", "["] },
  {
    what: "the body of a refusal",
    read: refusal,
    maxLength: 64 * KIB,
    prefixes: ["", "<", "<script>", "<style"],
  },
  {
    what: "the errors of a refusal",
    read: (text) => refusal(`{"errors":[{"code":"A","message":${quoted(text)}}]}`),
    maxLength: 64 * KIB,
  },
  { what: "a page", read: pageText, maxLength: 64 * KIB, prefixes: ["", "<script>"] },
  { what: "the beginning of a text", read: snippet, maxLength: 256 * KIB },
  {
    what: "a text with secrets",
    read: redact,
    maxLength: 64 * KIB,
    prefixes: ["", "https://", "?token=", '"token":"', "Bearer "],
  },
  { what: "a text to print", read: printable, maxLength: 64 * KIB },
  { what: "a text for one line", read: oneLine, maxLength: 64 * KIB },
  {
    what: "JSON",
    read: (text) => parseStrictJson(bytes(text)),
    maxLength: 256 * KIB,
    prefixes: ["", "[", '["'],
  },
  {
    what: "JSON of one string",
    read: (text) => parseStrictJson(bytes(`[${quoted(text)}]`)),
    maxLength: 256 * KIB,
  },
  {
    what: "JSON of many values",
    read: (text) => parseStrictJson(bytes(`[${"[],".repeat(text.length)}1]`)),
    repeated: ["a"],
    maxLength: 64 * KIB,
  },
  {
    what: "JSON of many keys",
    read: ({ length }) =>
      parseStrictJson(bytes(`{${Array.from({ length }, (_, key) => `"${key * 65_536}":1`).join(",")}}`)),
    repeated: ["a"],
    maxLength: 16 * KIB,
  },
  {
    what: "a manifest",
    read: (text) => parseManifest(bytes(text)),
    maxLength: 256 * KIB,
    prefixes: ["", '{"a":"'],
  },
  {
    what: "a manifest with a media type",
    read: (text) =>
      parseManifest(bytes(`{"schemaVersion":2,"mediaType":${quoted(text)}}`), { contentType: text }),
    maxLength: 32 * KIB,
  },
  {
    what: "the index of a layout",
    read: (text) => parseIndex(bytes(text), "index.json"),
    maxLength: 256 * KIB,
  },
  {
    what: "a page of a tag listing",
    read: (text) => DISTRIBUTION_LISTING.readPage(bytes(`{"tags":[${quoted(text)}]}`), "a"),
    maxLength: 256 * KIB,
  },
  { what: "a tag", read: isTag, maxLength: 64 * KIB },
  { what: "a digest", read: isDigest, maxLength: 64 * KIB, prefixes: ["", "sha256:"] },
  { what: "a repository", read: isRepositoryName, maxLength: 64 * KIB, prefixes: ["", "a"] },
  { what: "a registry", read: parseRegistry, maxLength: 64 * KIB, prefixes: ["", "[", "[:"] },
  { what: "a reference", read: parseReference, maxLength: 64 * KIB, prefixes: ["", "a/", "a.b/c@", "a:1/b"] },
  {
    what: "a repository with its registry",
    read: parseRepository,
    maxLength: 64 * KIB,
    prefixes: ["", "a.b/"],
  },
  {
    what: "a version",
    read: parseVersion,
    maxLength: 128,
    prefixes: ["", "1.0-rc", "1.0-rc1", "1.0-", "1.0", "8u392", "1.0b1"],
  },
  { what: "a duration", read: parseDuration, maxLength: 64 * KIB, prefixes: ["", "1s"] },
  {
    what: "a file of credentials",
    read: (text) =>
      parseAuthFile(`{"auths":{${quoted(text)}:{"auth":${quoted(text)}}}}`, "auth.json").entryFor({
        registry: "a.b",
        repository: "c",
      }),
    maxLength: 64 * KIB,
    prefixes: ["", "https://"],
  },
  { what: "a token in a header", read: bearerOf, maxLength: HEADER, prefixes: ["", "Bearer "] },
  ...(["dockerhub", "harbor", "quay", "github", "generic"] as const).map((sender): Parser => ({
    what: `a webhook like that of ${sender}`,
    read: (text) => readHook(sender, { body: hookBody(text) as never, event: "registry_package" }),
    maxLength: 64 * KIB,
    prefixes: ["", "a/", "https://a.b/c"],
  })),
];

/** Fields of all senders at once, each with the hostile text. */
function hookBody(text: string): unknown {
  return {
    repository: { repo_name: text, name: text, namespace: text },
    push_data: { tag: text, pushed_at: text },
    type: "PUSH_ARTIFACT",
    occur_at: 1,
    event_data: {
      resources: [{ digest: text, tag: text, resource_url: text }],
      repository: { repo_full_name: text },
    },
    docker_url: text,
    updated_tags: [text],
    name: text,
    image: text,
    tag: text,
    registry_package: {
      package_type: "container",
      name: text,
      namespace: text,
      updated_at: text,
      package_version: { package_url: text, container_metadata: { tag: { name: text } } },
    },
  };
}

/** What is repeated until the text is long. */
const REPEATED = [
  ...Array.from(" \t\r\n\0<>;,=\"'\\/:@.-_+%&?#()[]{}a1xé"),
  "a ",
  " a",
  "a-",
  "a.",
  "a,",
  "a=",
  "a:",
  "a/",
  "a@",
  "1.",
  "1s",
  "1,",
  "__",
  "//",
  "::",
  "<a",
  "<a>",
  "</",
  "<script>",
  "</script",
  "; rel=",
  ";a=b",
  '"a":',
  '\\"',
  "\r\n ",
  "\r\na: b",
  "retry-after: 1",
  "Bearer a",
  "https://",
  "?token=",
  "repository:a:pull ",
];
const ENDS = ["", "!"];

/** Small steps first: a time that doubles with every character must be noticed early. */
const LENGTHS = [16, 20, 24, 28, 128, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB];

/** Milliseconds of CPU of this thread: other processes do not count. */
function cpuMs(task: () => unknown): number {
  const before = process.threadCpuUsage();
  try {
    task();
  } catch {
    // a refusal is a valid result
  }
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

const leastMs = (task: () => unknown, times: number): number =>
  Math.min(...Array.from({ length: times }, () => cpuMs(task)));

/** Fifty times the slowest parser. Quadratic or cubic time exceeds it long before the greatest length. */
const allowedMs = (length: number): number => 50 + length * 0.02;
/** The allowed factor for four times the length. Quadratic time has the factor 16. */
const GROWTH_MAX = 10;
/** The clock of the CPU moves in steps of up to 10 ms. */
const CLOCK_MS = 10;

function grows(longerMs: number, shorterMs: number): boolean {
  return longerMs > Math.max(shorterMs, CLOCK_MS) * GROWTH_MAX;
}

/** The problem with the growth of the time; undefined when there is none. */
function growthOf(textOf: (length: number) => string, { read, maxLength }: Parser): string | undefined {
  let before = 0;
  for (const length of LENGTHS.filter((one) => one <= maxLength)) {
    const text = textOf(length);
    const tookMs = cpuMs(() => read(text));
    if (tookMs > allowedMs(length)) {
      const leastTookMs = leastMs(() => read(text), 2);
      if (leastTookMs > allowedMs(length)) return `${length} characters take ${Math.round(leastTookMs)} ms`;
    }
    if (length > KIB && grows(tookMs, before)) {
      const longerMs = leastMs(() => read(text), 3);
      const shorterMs = leastMs(() => read(textOf(length / 4)), 3);
      if (grows(longerMs, shorterMs))
        return `${length / 4} characters take ${Math.round(shorterMs)} ms, ${length} take ${Math.round(longerMs)} ms`;
    }
    before = tookMs;
  }
  return undefined;
}

function slowInputs(parser: Parser): string[] {
  return (parser.prefixes ?? [""]).flatMap((prefix) =>
    (parser.repeated ?? REPEATED).flatMap((part) =>
      ENDS.flatMap((end) => {
        const textOf = (length: number): string =>
          `${prefix}${part.repeat(Math.ceil(length / part.length)).slice(0, length)}${end}`;
        const wrong = growthOf(textOf, parser);
        return wrong === undefined ? [] : [`${quoted(`${prefix}${part}…${end}`)}: ${wrong}`];
      }),
    ),
  );
}

describe("the time to read grows no faster than", () => {
  test.for(PARSERS)("$what", (parser) => {
    expect(slowInputs(parser)).toEqual([]);
  });
});

test("notices what takes the square of the length, and what doubles with each character", () => {
  const square = { what: "", read: (text: string) => /<[^>]*>!/.test(text), maxLength: 64 * KIB };
  const doubling = { what: "", read: (text: string) => /^(?:[.]?1+)*$/.test(text), maxLength: 128 };
  expect(growthOf((length) => "<".repeat(length), square)).toBeDefined();
  expect(growthOf((length) => `${"1".repeat(length)}x`, doubling)).toBeDefined();
});
