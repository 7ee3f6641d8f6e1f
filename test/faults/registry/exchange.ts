import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import type { RegistryRules } from "./rules.ts";

/** What a request asks for, by the paths of the distribution spec. */
export type Route =
  | { readonly kind: "ping" | "token" | "unknown" }
  | { readonly kind: "tags" | "upload-post"; readonly repo: string }
  | {
      readonly kind: "manifest-get" | "manifest-head" | "manifest-put" | "manifest-delete";
      readonly repo: string;
      readonly ref: string;
    }
  | { readonly kind: "blob-get" | "blob-head" | "blob-delete"; readonly repo: string; readonly ref: string }
  | { readonly kind: "referrers"; readonly repo: string; readonly ref: string }
  | {
      readonly kind: "upload-patch" | "upload-put" | "upload-get" | "upload-delete";
      readonly repo: string;
      readonly ref: string;
    };

export type RouteKind = Route["kind"];

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
};

/** One request, as faults and routes see it. */
export type Exchange = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** Resets the TCP connection, that below TLS too. */
  readonly reset: () => void;
  readonly method: string;
  readonly url: URL;
  readonly route: Route;
  readonly rules: RegistryRules;
  /** The whole body; rejects when the client goes away. */
  body(): Promise<Buffer>;
  /** Handles the request, and returns the correct answer without sending it. */
  handle(): Promise<Answer>;
  send(answer: Answer): Promise<void>;
  /** Revokes all tokens. */
  expireTokens(): void;
  /** Aborted when the client is gone or the registry closes. */
  readonly signal: AbortSignal;
};

const REPOSITORY = String.raw`(?<repo>[a-z0-9._/-]+)`;
const MANIFESTS = new RegExp(`^/v2/${REPOSITORY}/manifests/(?<ref>[^/]+)$`);
const BLOBS = new RegExp(`^/v2/${REPOSITORY}/blobs/(?<ref>sha256:[0-9a-f]+)$`);
const UPLOADS = new RegExp(`^/v2/${REPOSITORY}/blobs/uploads/(?<ref>[^/]*)$`);
const TAGS = new RegExp(`^/v2/${REPOSITORY}/tags/list$`);
const REFERRERS = new RegExp(`^/v2/${REPOSITORY}/referrers/(?<ref>[^/]+)$`);

export function routeOf(method: string, path: string): Route {
  if (path === "/v2/" || path === "/v2") return { kind: "ping" };
  if (path === "/token") return { kind: "token" };
  const verb = method.toLowerCase();
  const upload = namesIn(UPLOADS, path);
  if (upload) {
    if (verb === "post") return { kind: "upload-post", repo: upload.repo };
    if (verb === "patch" || verb === "put" || verb === "get" || verb === "delete")
      return { kind: `upload-${verb}`, ...upload };
  }
  const manifest = namesIn(MANIFESTS, path);
  if (manifest && (verb === "get" || verb === "head" || verb === "put" || verb === "delete"))
    return { kind: `manifest-${verb}`, ...manifest };
  const blob = namesIn(BLOBS, path);
  if (blob && (verb === "get" || verb === "head" || verb === "delete"))
    return { kind: `blob-${verb}`, ...blob };
  const tags = namesIn(TAGS, path);
  if (tags && verb === "get") return { kind: "tags", repo: tags.repo };
  const referrers = namesIn(REFERRERS, path);
  if (referrers && verb === "get") return { kind: "referrers", ...referrers };
  return { kind: "unknown" };
}

function namesIn(pattern: RegExp, path: string): { repo: string; ref: string } | undefined {
  const groups = pattern.exec(path)?.groups;
  return groups?.["repo"] === undefined
    ? undefined
    : { repo: groups["repo"], ref: decodeURIComponent(groups["ref"] ?? "") };
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    body: Buffer.from(JSON.stringify(value)),
  };
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes */
export function failure(
  status: number,
  code: string,
  message = code.toLowerCase().replaceAll("_", " "),
): Answer {
  return json(status, { errors: [{ code, message, detail: {} }] });
}
