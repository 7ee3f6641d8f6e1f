import type { CodeFacts } from "../facts.ts";

/** Credentials and authentication. */
export const AUTH_CODES = {
  AUTH_DENIED: {
    class: "credentials",
    meaning: "The registry refused the credentials, or the anonymous request.",
    next: "Run `tagferry auth {registry}`: it shows which credentials are used and whether they work.",
  },
  AUTH_NO_CHALLENGE: {
    class: "credentials",
    meaning:
      "The registry answered 401 without a WWW-Authenticate header, so Tagferry does not know how to log in.",
    next: "Check the proxy in front of the registry: a registry sends WWW-Authenticate.",
  },
  AUTH_CHALLENGE: {
    class: "credentials",
    meaning: "The WWW-Authenticate header is malformed, or offers neither Bearer nor Basic.",
    next: "Check the authentication settings of the registry.",
  },
  AUTH_REALM: {
    class: "credentials",
    meaning: "The registry names a token server on a host that must not receive its credentials.",
    next: "If that host belongs to {registry}, add it to `tokenRealms` of {registry} under `registries`.",
  },
  AUTH_TOKEN: {
    class: "credentials",
    meaning: "The token server did not answer with a token.",
    next: "Check the token server: its address may lead to a login page or a proxy.",
  },
  AUTH_HELPER: {
    class: "credentials",
    meaning: "The credential helper failed.",
    next: "Run {helper} yourself and fix the problem that it reports.",
  },
  AUTH_FILE: {
    class: "credentials",
    meaning: "The authentication file of docker or podman cannot be read.",
    next: "Log in again with `docker login` or `podman login`, or fix the file.",
  },
  DENIED: {
    class: "credentials",
    meaning:
      "The registry accepted the credentials, but they do not allow this action on this repository (403).",
    next: "Ask the owner of {repository} for the right that the message names.",
  },

  REGISTRY_NOT_V2: {
    class: "source",
    meaning: "The host does not speak the registry protocol: /v2/ answers 404, HTML or a login page.",
    next: "Check the host name {registry}, its port, and any proxy or login page in front of it.",
  },
} as const satisfies Record<string, CodeFacts>;
