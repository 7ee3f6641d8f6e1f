import { randomUUID } from "node:crypto";

import { basicUser, type Grants, tokenEndpoint, type TokenServerOptions } from "../token-server.ts";
import { type Answer, refusal, type RegistryRequest } from "./wire.ts";

/** Replaces the challenge the registry would send: several headers, nonsense, or (undefined) none. */
type ChallengeChange = (usual: string) => string | string[] | undefined;

export type AuthOptions =
  | {
      readonly kind: "basic";
      readonly username: string;
      readonly password: string;
      readonly challenge?: ChallengeChange;
    }
  | (TokenServerOptions & {
      readonly kind: "bearer";
      readonly service?: string;
      /** The token server on the registry's own origin, or (default) on another. */
      readonly origin?: "same" | "other";
      /** Replaces the realm in the challenge. */
      readonly realm?: (usual: string) => string;
      readonly challenge?: ChallengeChange;
      /** How long a token is really valid, whatever `expiresIn` says. */
      readonly lifetimeMs?: number;
      /** The number of requests for which a token is valid. */
      readonly uses?: number;
      /** What a token without the needed scope is answered with. */
      readonly insufficient?: 401 | 403;
      /** The registry itself also accepts Basic (Harbor, Artifactory). */
      readonly acceptBasic?: boolean;
    });

export type Authorizer = {
  authorize(request: RegistryRequest): Answer | undefined;
  /** Undefined with Basic, which needs none. */
  readonly token?: (request: RegistryRequest) => Promise<Answer>;
  /** Every token given out so far becomes void. */
  revokeTokens(): void;
};

type IssuedToken = { readonly grants: Grants; readonly expiresAt: number; uses: number };

export function openAuthorizer(auth: AuthOptions, realmUrl: () => string): Authorizer {
  if (auth.kind === "basic") return basicAuthorizer(auth);
  const issued = new Map<string, IssuedToken>();
  const { lifetimeMs = Number.POSITIVE_INFINITY, uses = Number.POSITIVE_INFINITY } = auth;
  const challenge = (scopes: readonly string[], error: string | undefined, status: 401 | 403): Answer => {
    const usualRealm = realmUrl();
    const parts = [
      `realm="${auth.realm ? auth.realm(usualRealm) : usualRealm}"`,
      `service="${auth.service ?? "registry.test"}"`,
      ...(scopes.length === 0 ? [] : [`scope="${scopes.join(" ")}"`]),
      ...(error === undefined ? [] : [`error="${error}"`]),
    ];
    return challenged(`Bearer ${parts.join(",")}`, auth.challenge, status);
  };
  return {
    authorize: (request) => {
      const { authorization } = request.headers;
      const scopes = neededScopes(request);
      if (authorization === undefined) return challenge(scopes, undefined, 401);
      if (auth.acceptBasic === true && authorization.startsWith("Basic "))
        return basicUser(authorization, auth) === auth.username
          ? undefined
          : challenge(scopes, undefined, 401);
      const token = issued.get(/^Bearer (.+)$/i.exec(authorization)?.[1] ?? "");
      if (!token || token.expiresAt < Date.now() || token.uses <= 0)
        return challenge(scopes, "invalid_token", 401);
      token.uses -= 1;
      if (scopes.every((scope) => covers(token.grants, scope))) return undefined;
      return challenge(scopes, "insufficient_scope", auth.insufficient ?? 401);
    },
    token: tokenEndpoint(auth, (grants) => {
      const token = `token-${randomUUID()}`;
      issued.set(token, { grants, expiresAt: Date.now() + lifetimeMs, uses });
      return token;
    }),
    revokeTokens: () => issued.clear(),
  };
}

function basicAuthorizer(auth: AuthOptions & { kind: "basic" }): Authorizer {
  return {
    authorize: ({ headers }) =>
      basicUser(headers.authorization, auth) === auth.username
        ? undefined
        : challenged('Basic realm="registry"', auth.challenge, 401),
    revokeTokens: () => {},
  };
}

function challenged(usual: string, change: ChallengeChange | undefined, status: 401 | 403): Answer {
  const header = change ? change(usual) : usual;
  const answer =
    status === 401
      ? refusal(401, "UNAUTHORIZED", "authentication required")
      : refusal(403, "DENIED", "requested access to the resource is denied");
  return {
    ...answer,
    headers: { ...answer.headers, ...(header === undefined ? {} : { "www-authenticate": header }) },
  };
}

/** The scopes a request needs, as docker-registry asks for them. */
function neededScopes({ kind, method, repository, parameters }: RegistryRequest): string[] {
  if (kind === "ping" || repository === "") return [];
  const actions =
    method === "GET" || method === "HEAD" ? "pull" : method === "DELETE" ? "delete" : "pull,push";
  const from = kind === "upload" && method === "POST" ? parameters.get("from") : null;
  return [
    `repository:${repository}:${actions}`,
    ...(from === null || from === repository ? [] : [`repository:${from}:pull`]),
  ];
}

function covers(grants: Grants, scope: string): boolean {
  const [, repository = "", actions = ""] = /^repository:(.+):([^:]*)$/.exec(scope) ?? [];
  const granted = grants.get(repository);
  return actions.split(",").every((action) => granted?.has(action) || granted?.has("*"));
}
