import type { CodeFacts } from "../facts.ts";

/** The page, the API and webhooks. */
export const WEB_CODES = {
  WEB_UNAUTHORIZED: {
    class: "usage",
    meaning: "The request has no valid token and no valid session of the page.",
    next: "Send the token of the daemon in the header `Authorization: Bearer TOKEN`, or log in on the page.",
  },
  WEB_ORIGIN: {
    class: "usage",
    meaning:
      "The request comes from another web site, or uses a host name that is not the name of this machine.",
    next: "Use the daemon's own page. A program sends the token, or `Origin: http://HOST:PORT` of the daemon.",
  },
  WEB_READ_ONLY: {
    class: "usage",
    meaning: "The token or session allows reading only, and this request would change something.",
    next: "Log in with the token from daemon.tokenFile. The token from daemon.readTokenFile only allows reading.",
  },
  WEB_REQUEST: {
    class: "usage",
    meaning: "A parameter of the request is not valid.",
    next: "See /api/v1/openapi.json for the parameters.",
  },
  WEB_NOT_FOUND: {
    class: "usage",
    meaning: "There is nothing at this path.",
    next: "See /api/v1/openapi.json for all paths.",
  },
  WEB_METHOD: {
    class: "usage",
    meaning: "This path does not accept this method. Requests that change something are POST requests.",
    next: "Use a method from the Allow header.",
  },
  WEB_TOO_LARGE: {
    class: "usage",
    meaning: "The body is too large (the limit for webhooks is 256 KiB).",
    next: "Send a smaller body.",
  },
  WEB_BUSY: {
    class: "environment",
    meaning: "There are too many requests of this kind at the same time.",
    next: "Wait as long as Retry-After says.",
    retry: "later",
  },
  HOOK_SECRET: {
    class: "usage",
    meaning: "The secret of the webhook is missing or wrong.",
    next: "Configure the sender with the secret that daemon.webhooks sets for it.",
  },
  HOOK_BODY: {
    class: "usage",
    meaning: "The body of the webhook is not JSON, or does not have the format of this sender.",
    next: "Send application/json to the path of the sender. /hooks/generic takes {repository, tag, at}.",
  },
} as const satisfies Record<string, CodeFacts>;
