import type { CodeFacts } from "../facts.ts";

/** Credentials and authentication. */
export const AUTH_CODES = {
  AUTH_DENIED: {
    class: "credentials",
    meaning: "The registry refused our credentials, or the anonymous request.",
    next: "Run `tagferry auth REGISTRY`: it shows which credentials win and whether they work.",
  },
  AUTH_NO_CHALLENGE: {
    class: "credentials",
    meaning: "The registry answered 401 without saying how to log in.",
    next: "Look at what stands in front of the registry; a registry sends WWW-Authenticate.",
  },
  AUTH_CHALLENGE: {
    class: "credentials",
    meaning: "The WWW-Authenticate header cannot be read, or offers nothing we can do (Bearer or Basic).",
    next: "Look at the registry's authentication settings.",
  },
  AUTH_REALM: {
    class: "credentials",
    meaning: "The registry sends us to a token server we do not give credentials to.",
    next: "If that host belongs to the registry, list it under tokenRealms of this registry.",
  },
  AUTH_TOKEN: {
    class: "credentials",
    meaning: "The token server did not answer with a token.",
    next: "Look at the token server; a login page or a proxy may stand in front of it.",
  },
  AUTH_HELPER: {
    class: "credentials",
    meaning: "The credential helper failed.",
    next: "Run docker-credential-NAME yourself and mend what it says.",
  },
  AUTH_FILE: {
    class: "credentials",
    meaning: "The docker or podman authentication file cannot be read.",
    next: "Log in again with `docker login` or `podman login`, or mend the file.",
  },
  DENIED: {
    class: "credentials",
    meaning: "The registry knows us and says no (403): this repository, this action.",
    next: "Ask for the right that is named.",
  },

  // What a registry answers (reliability D1-D60)
  REGISTRY_NOT_V2: {
    class: "source",
    meaning: "The host does not speak the registry protocol (404, HTML or a login page at /v2/).",
    next: "Look at the host name, the port and any proxy or login page in between.",
  },
} as const satisfies Record<string, CodeFacts>;
