import type { CodeFacts } from "../facts.ts";

/** The page, the API and webhooks. */
export const WEB_CODES = {
  WEB_UNAUTHORIZED: {
    class: "usage",
    meaning: "The request has no valid token, and the page no valid session.",
    next: "Send the daemon's token as `Authorization: Bearer …`, or log in on the page.",
  },
  WEB_ORIGIN: {
    class: "usage",
    meaning: "The request comes from another site, or under a name that is not this machine's.",
    next: "Act on the page itself; a program sends the token, or `Origin: http://HOST:PORT` of the daemon.",
  },
  WEB_REQUEST: {
    class: "usage",
    meaning: "A parameter of the request is not valid.",
    next: "Send what /api/v1/openapi.json describes.",
  },
  WEB_NOT_FOUND: {
    class: "usage",
    meaning: "There is nothing at this path.",
    next: "See /api/v1/openapi.json for what there is.",
  },
  WEB_METHOD: {
    class: "usage",
    meaning: "This path does not take this method: what changes something is a POST.",
    next: "Use a method that the header Allow names.",
  },
  WEB_TOO_LARGE: {
    class: "usage",
    meaning: "The body is larger than it may be (webhooks: 256 KiB).",
    next: "Send less.",
  },
  WEB_BUSY: {
    class: "environment",
    meaning: "Too many requests of this kind at once.",
    next: "Wait as long as Retry-After says.",
    retry: "later",
  },
  HOOK_SECRET: {
    class: "usage",
    meaning: "The webhook's secret is missing or wrong.",
    next: "Give the sender the secret of daemon.webhooks.secretFile.",
  },
  HOOK_BODY: {
    class: "usage",
    meaning: "The webhook's body is not JSON, or not what this sender sends.",
    next: "Send application/json to the path of its sender; /hooks/generic takes {repository, tag, at}.",
  },
} as const satisfies Record<string, CodeFacts>;
