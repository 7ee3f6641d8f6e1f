import type { CodeFacts } from "../facts.ts";

/** Answers of a registry. */
export const REGISTRY_CODES = {
  REGISTRY_UNREACHABLE: {
    class: "source",
    meaning: "No connection to the host (refused, reset, timed out).",
    next: "Check the host and port {registry}, then network, proxy and firewall. Tagferry tries again at the next run.",
    retry: "again",
  },
  REGISTRY_UNRESPONSIVE: {
    class: "source",
    meaning:
      "The registry did not answer several requests in a row; until the time that is shown it is not asked.",
    next: "Nothing to do: Tagferry tries again. If it happens again, check network, proxy and registry.",
    retry: "later",
  },
  REGISTRY_DNS: {
    class: "source",
    meaning: "The host name cannot be resolved.",
    next: "Check the spelling of {registry}, then the name server.",
    retry: "again",
  },
  REGISTRY_TLS: {
    class: "source",
    meaning:
      "The TLS connection failed: unknown authority, wrong name, expired certificate, or the host does not use TLS.",
    next: "Set `ca` of {registry} under `registries` to the file of its authority, or `plainHttp: true` if it does not use TLS.",
  },
  REGISTRY_UNAVAILABLE: {
    class: "source",
    meaning: "The registry answers with a server error (5xx).",
    next: "Nothing to do: Tagferry tries again. If it happens again, check the registry.",
    retry: "again",
  },
  RATE_LIMITED: {
    class: "source",
    meaning: "The registry limits the rate of requests (429).",
    next: "Wait until the time that is shown. Credentials for {registry} often raise the limit, and `requestsPerSecond` under `registries` keeps below it.",
    retry: "later",
  },
  STALLED: {
    class: "source",
    meaning:
      "The connection was open, but for too long nothing was received, or nothing that was sent was accepted.",
    next: "Nothing to do: Tagferry tries again. If it happens again, check the network.",
    retry: "again",
  },
  HTTP_PROTOCOL: {
    class: "source",
    meaning: "The answer violates HTTP, or does not belong to this request.",
    next: "Check the proxies between Tagferry and the registry, then report the problem to the registry.",
    retry: "again",
  },
  REQUEST_REJECTED: {
    class: "source",
    meaning: "The registry rejected the request with a 4xx status that has no code of its own here.",
    next: "Read the reason of the registry in the message.",
  },
  REDIRECT_REFUSED: {
    class: "source",
    meaning:
      "Tagferry does not follow this redirect: no Location, a loop, from https to http, another scheme, or an address inside (private, this machine, link-local, metadata services) where the registry itself is not.",
    next: "Check the chain of addresses in the message: the registry or a proxy is misconfigured.",
  },
  LINK_FOREIGN: {
    class: "source",
    meaning: "The next page of a listing is on another host.",
    next: "Report the problem to the registry: the pages of a listing must be on its own host.",
  },
  NAME_UNKNOWN: {
    class: "source",
    meaning: "The repository does not exist, or these credentials do not see it.",
    next: "Check the spelling of {repository}. Without credentials, a private repository looks like one that does not exist.",
  },
  TAGS_INVALID: {
    class: "source",
    meaning: "The answer is not a tag listing: not JSON, not an array, or with names that are not tags.",
    next: "Check the host name {registry}: a web site or a proxy may answer there instead of a registry.",
    retry: "again",
  },
  REFERRERS_INVALID: {
    class: "source",
    meaning:
      "The list of signatures and other referrers of an image is malformed: not an index, an error page, or incomplete.",
    next: "Check the proxies between Tagferry and the registry, or set `referrers: false` to copy without signatures.",
    retry: "again",
  },
  TAGS_LIMIT: {
    class: "source",
    meaning: "The tag listing does not end: the same page again, or more than a million tags.",
    next: "Write exact tags (they need no listing), or report the problem to the registry.",
  },
  CONTENT_ENCODING: {
    class: "source",
    meaning: "The content is compressed, although the request asked for uncompressed content.",
    next: "Switch off compression in the proxy in front of the registry.",
  },
  RANGE: {
    class: "source",
    meaning: "The registry answers a Range request inconsistently.",
    next: "Report the problem to the registry. Tagferry fetched the blob again from its start.",
  },
  SOURCE_POLICY: {
    class: "policy",
    meaning: "A policy of the source forbids the download of this image (412).",
    next: "Read the reason of the registry in the message.",
  },
} as const satisfies Record<string, CodeFacts>;
