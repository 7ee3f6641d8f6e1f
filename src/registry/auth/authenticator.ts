import { TagferryError } from "../../errors/error.ts";
import { type Cancellable, sleep } from "../../lib/cancel.ts";
import { hideSecret } from "../../lib/redact.ts";
import type { Credential, CredentialStore, FoundCredential } from "../../oci/credential.ts";
import { isRepositoryName, type Repository } from "../../oci/reference.ts";
import { type Challenge, chooseChallenge, parseChallenges } from "./challenge.ts";
import { checkRealm } from "./realm.ts";
import { mergeScopes, type Scope } from "./scope.ts";
import { openTokenCache } from "./token-cache.ts";
import type { TokenTransport } from "./token.ts";

export type AuthenticatorOptions = {
  readonly registryUrl: URL;
  readonly registry: string;
  readonly credentials: CredentialStore;
  readonly tokenRealms: readonly string[];
  readonly send: TokenTransport;
  /**
   * The pause before a refused new token is replaced. The token server's clock may be ahead, so the token is not valid
   * yet.
   */
  readonly freshTokenPauseMs: number;
};

/** Logs in to one registry. Remembers its challenge, and one token per credential and scope. */
export type Authenticator = {
  /**
   * The Authorization header for these scopes, without a request when the challenge is known; undefined: send the
   * request without it.
   */
  header(scopes: readonly Scope[], options?: Cancellable): Promise<string | undefined>;
  /**
   * The header for the next attempt after a 401. `sent`: the header that was refused. `attempt` counts from 1.
   *
   * @throws {TagferryError} AUTH_DENIED, AUTH_NO_CHALLENGE, AUTH_CHALLENGE, AUTH_REALM, AUTH_TOKEN
   */
  challenged(refused: Refused, options?: Cancellable): Promise<string>;
  /** The scheme of the last challenge, for `tagferry auth`. */
  readonly scheme: () => string | undefined;
};

export type Refused = {
  readonly wwwAuthenticate: string | readonly string[] | undefined;
  readonly scopes: readonly Scope[];
  readonly sent: string | undefined;
  readonly attempt: number;
  readonly where: string;
};

/** How many scopes of one challenge are used. */
const SCOPES_MAX = 8;

export function openAuthenticator({
  registryUrl,
  registry,
  credentials,
  tokenRealms,
  send,
  freshTokenPauseMs,
}: AuthenticatorOptions): Authenticator {
  /** The last challenge for which a token or password was found. */
  let remembered: Challenge | undefined;
  let scheme: string | undefined;
  const tokens = openTokenCache(registry, send);

  const whoFor = async (
    scopes: readonly Scope[],
    options: Cancellable,
  ): Promise<FoundCredential | undefined> => {
    const found = await credentials(repositoryOf(registry, scopes), options);
    if (found) hideCredential(found.credential);
    return found;
  };

  async function bearer(
    { parameters }: Challenge,
    scopes: readonly Scope[],
    found: FoundCredential | undefined,
    { stale, signal }: Cancellable & { readonly stale?: string | undefined },
  ): Promise<string> {
    const realm = checkRealm(parameters["realm"] ?? "", { registryUrl, tokenRealms });
    const wanted = { realm, service: parameters["service"], scopes: mergeScopes(scopes), found, stale };
    return tokens.header(wanted, { signal });
  }

  /**
   * A refused token may only have expired. Then the server that made it makes a new one. Harbor answers an expired
   * token with a Basic challenge, and nvcr.io names another token server, which has no token for anonymous users.
   * undefined: use the challenge.
   */
  async function renewed(
    chosen: Challenge | undefined,
    { scopes, sent, attempt }: Refused,
    found: FoundCredential | undefined,
    { signal }: Cancellable,
  ): Promise<string | undefined> {
    if (attempt > 1 || remembered?.scheme !== "bearer" || !sent?.startsWith("Bearer ")) return undefined;
    if (chosen?.scheme === "bearer" && realmOf(chosen) === realmOf(remembered)) return undefined;
    try {
      return await bearer(remembered, scopes, found, { stale: sent, signal });
    } catch (error) {
      signal?.throwIfAborted();
      if (chosen?.scheme !== "bearer") throw error;
      return undefined;
    }
  }

  return {
    scheme: () => scheme,
    async header(scopes, { signal } = {}) {
      const found = await whoFor(scopes, { signal });
      if (found?.credential.kind === "bearer") return `Bearer ${found.credential.token}`;
      if (remembered?.scheme === "bearer") return bearer(remembered, scopes, found, { signal });
      if (remembered?.scheme === "basic" && found?.credential.kind === "basic")
        return basic(found.credential);
      return undefined;
    },
    async challenged(refused, { signal } = {}) {
      const { wwwAuthenticate, scopes, sent, attempt, where } = refused;
      const found = await whoFor(scopes, { signal });
      const denied = (why: string, facts: Record<string, unknown> = {}): TagferryError =>
        new TagferryError("AUTH_DENIED", `${where}: ${why}`, {
          where,
          credentials: found?.from ?? "none",
          ...(found?.credential.kind === "basic" ? { account: found.credential.username } : {}),
          ...facts,
        });
      const offered = parseChallenges(wwwAuthenticate);
      const failing = offered.find(({ parameters }) => parameters["error"] !== undefined)?.parameters[
        "error"
      ];
      // OpenShift's registry says this when it knows the user but RBAC denies access: a retry does not help
      if (failing === "access denied" && sent !== undefined)
        throw denied("access denied", {
          next: "Grant system:image-pusher (or registry-editor) in the namespace to the account that is used.",
        });
      if (found?.credential.kind === "bearer") throw denied("the token was refused");
      const chosen = chooseChallenge(offered);
      const wanted = chosen ? extraScopes(chosen, scopes) : [];
      const insufficient = failing === "insufficient_scope";
      // the token was made for this request and lacks the right: another token will lack it too
      if (attempt > 2 || (insufficient && attempt > 1 && wanted.length === 0))
        throw denied(
          found ? "the credentials were refused" : "it needs credentials and there are none",
          failing === undefined ? {} : { found: failing },
        );
      scheme = chosen?.scheme ?? scheme;
      const again = await renewed(chosen, refused, found, { signal });
      if (again !== undefined) return again;
      if (!chosen) throw challengeError(offered, wwwAuthenticate, where);
      if (chosen.scheme === "basic") {
        remembered = chosen;
        if (found?.credential.kind !== "basic")
          throw denied("it needs a user and a password, and there are none");
        const header = basic(found.credential);
        if (header === sent) throw denied("user and password were refused");
        return header;
      }
      if (attempt === 2 && !insufficient) await sleep(freshTokenPauseMs, { signal });
      const header = await bearer(chosen, [...scopes, ...wanted], found, { stale: sent, signal });
      // only now: a challenge that leads to no token is not used again
      remembered = chosen;
      return header;
    },
  };
}

function realmOf({ parameters }: Challenge): string | undefined {
  return parameters["realm"];
}

function repositoryOf(registry: string, scopes: readonly Scope[]): Repository {
  const [first] = scopes;
  return { registry, repository: first?.repository ?? "" };
}

/**
 * Keeps the credential out of logs and reports, in case a registry sends it back (a debugging page, a gateway's error).
 */
function hideCredential(credential: Credential): void {
  if (credential.kind !== "basic") return hideSecret(credential.token);
  hideSecret(credential.password);
  hideSecret(basic(credential).slice("Basic ".length));
}

function basic({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function challengeError(
  offered: readonly Challenge[],
  header: string | readonly string[] | undefined,
  where: string,
): TagferryError {
  if (header === undefined || header.length === 0)
    return new TagferryError("AUTH_NO_CHALLENGE", `${where}: 401 without WWW-Authenticate`, { where });
  return new TagferryError("AUTH_CHALLENGE", `${where}: it offers no known way to log in`, {
    where,
    found: offered.map(({ scheme }) => scheme).join(", ") || "nothing readable",
    allowed: "Bearer with a realm, or Basic",
  });
}

/**
 * Scopes that the registry requires in addition (for a mount from another repository). `*` and catalogs are not
 * requested.
 */
function extraScopes({ parameters }: Challenge, scopes: readonly Scope[]): readonly Scope[] {
  const ours = new Set(mergeScopes(scopes));
  const offered = (parameters["scope"] ?? "").split(/\s+/, SCOPES_MAX);
  return offered.flatMap((text) => {
    const [type, repository = "", actions = "", ...others] = text.split(":");
    if (type !== "repository" || others.length > 0 || !isRepositoryName(repository) || ours.has(text))
      return [];
    return [
      { repository, actions: actions.split(",").filter((action) => action === "pull" || action === "push") },
    ];
  });
}
