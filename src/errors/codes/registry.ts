import type { CodeFacts } from "../facts.ts";

/** What a registry answers. */
export const REGISTRY_CODES = {
  REGISTRY_UNREACHABLE: {
    class: "source",
    meaning: "No connection to the host (refused, reset, timed out).",
    next: "Look at network, proxy and firewall; it is tried again at the next run.",
    retry: "again",
  },
  REGISTRY_DNS: {
    class: "source",
    meaning: "The host name does not resolve.",
    next: "Look at the spelling and at the name server.",
    retry: "again",
  },
  REGISTRY_TLS: {
    class: "source",
    meaning:
      "The TLS connection failed: unknown authority, wrong name, expired certificate, or no TLS there.",
    next: "Name the authority with `ca` of this registry (or `plainHttp: true` where it speaks no TLS).",
  },
  REGISTRY_UNAVAILABLE: {
    class: "source",
    meaning: "The registry has trouble (5xx).",
    next: "Nothing: it is tried again; look at the registry if it stays.",
    retry: "again",
  },
  RATE_LIMITED: {
    class: "source",
    meaning: "The registry asks us to slow down (429, in any of its shapes).",
    next: "Wait until the time that is shown; log in, or lower connections and requestsPerSecond.",
    retry: "later",
  },
  STALLED: {
    class: "source",
    meaning: "The connection was open and nothing came, or nothing of what we sent was taken, for too long.",
    next: "Nothing: it is tried again; look at the network if it stays.",
    retry: "again",
  },
  HTTP_PROTOCOL: {
    class: "source",
    meaning: "The answer breaks HTTP, or is not one to this request.",
    next: "Look at the proxy in between; report the registry.",
    retry: "again",
  },
  REQUEST_REJECTED: {
    class: "source",
    meaning: "The registry rejected the request with a 4xx that has no code of its own here.",
    next: "Read the registry's reason in the message.",
  },
  REDIRECT_REFUSED: {
    class: "source",
    meaning:
      "A redirect goes where we do not follow: no Location, a loop, http from https, another scheme, a private address.",
    next: "Look at the chain that is shown; the registry or a proxy is misconfigured.",
  },
  LINK_FOREIGN: {
    class: "source",
    meaning: "The next page of a listing is on another host.",
    next: "Report the registry: a listing stays on its own host.",
  },
  NAME_UNKNOWN: {
    class: "source",
    meaning: "The repository does not exist, or is hidden from us.",
    next: "Look at the spelling; a private repository looks the same as none without credentials.",
  },
  TAGS_INVALID: {
    class: "source",
    meaning: "The tag listing is not one: not JSON, not an array, or names that are not tags.",
    next: "Look at what stands between us and the registry.",
    retry: "again",
  },
  TAGS_LIMIT: {
    class: "source",
    meaning: "The tag listing does not end: the same page again, or more than a million tags.",
    next: "Name exact tags (no listing is needed then), or report the registry.",
  },
  CONTENT_ENCODING: {
    class: "source",
    meaning: "The content came compressed although it was asked for as it is.",
    next: "Switch off compression in the proxy in between.",
  },
  RANGE: {
    class: "source",
    meaning: "The registry answers a Range request inconsistently.",
    next: "Report the registry; the blob was fetched again from its start.",
  },
  SOURCE_POLICY: {
    class: "policy",
    meaning: "The source refuses to hand out this image by a policy of its own (412).",
    next: "Read the registry's reason in the message.",
  },
} as const satisfies Record<string, CodeFacts>;
