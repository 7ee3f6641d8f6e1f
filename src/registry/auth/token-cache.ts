import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { type Cancellable, unlessAborted } from "../../lib/cancel.ts";
import type { FoundCredential } from "../../oci/credential.ts";
import { fetchToken, type Token, type TokenTransport } from "./token.ts";

/** Tokens of one registry, one per credential, token server and scopes. Kept in memory only. */
export type TokenCache = {
  /**
   * The Authorization header with a token. `stale`: the header that was refused.
   *
   * @throws {TagferryError} AUTH_DENIED, AUTH_TOKEN, REGISTRY_*, STALLED
   */
  header(wanted: WantedToken, options?: Cancellable): Promise<string>;
};

export type WantedToken = {
  /** A checked address. */
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly found: FoundCredential | undefined;
  readonly stale?: string | undefined;
};

const RENEW_BEFORE_MS = 30_000;
const REFUSED_FOR_MS = 5 * 60_000;
const TOKENS_KEPT = 10_000;

export function openTokenCache(registry: string, send: TokenTransport): TokenCache {
  const tokens = new Map<string, Promise<Token>>();
  /** Credentials that a token server refused. They are not used for a while, so that the account is not locked. */
  const refusedUntil = new Map<string, number>();

  function remember(key: string, token: Promise<Token>): void {
    tokens.delete(key);
    tokens.set(key, token);
    const [oldest] = tokens.keys();
    if (tokens.size > TOKENS_KEPT && oldest !== undefined) tokens.delete(oldest);
  }

  function fetchNew({ realm, service, scopes, found }: WantedToken, key: string): Promise<Token> {
    const next = fetchToken({ realm, service, scopes, credential: found?.credential, registry }, send);
    remember(key, next);
    next.catch((error: unknown) => {
      if (tokens.get(key) === next) tokens.delete(key);
      // 401 means wrong credentials; 403 may be about this repository only (GHCR)
      if (found && isTagferryError(error, "AUTH_DENIED") && error.details["status"] === 401)
        refusedUntil.set(identityOf(found), performance.now() + REFUSED_FOR_MS);
    });
    return next;
  }

  return {
    async header(wanted, { signal } = {}) {
      const { realm, service, scopes, found, stale } = wanted;
      const who = identityOf(found);
      refuseAgain(refusedUntil.get(who), registry, found);
      const key = JSON.stringify([who, realm.href, service, scopes.toSorted()]);
      // Simultaneous callers share one request. Callers after a renewal use the new token.
      for (let kept = tokens.get(key); kept; kept = tokens.get(key) === kept ? undefined : tokens.get(key)) {
        const token = await unlessAborted(kept, signal);
        const header = `Bearer ${token.text}`;
        if (header !== stale && performance.now() < token.expiresAtMs - RENEW_BEFORE_MS) return header;
      }
      // All waiting callers share this request, so no caller can abort it for the others.
      return `Bearer ${(await unlessAborted(fetchNew(wanted, key), signal)).text}`;
    },
  };
}

/** Tells two credentials apart. */
function identityOf(found: FoundCredential | undefined): string {
  return found ? JSON.stringify(found.credential) : "";
}

function refuseAgain(
  untilMs: number | undefined,
  registry: string,
  found: FoundCredential | undefined,
): void {
  if (untilMs === undefined || performance.now() > untilMs) return;
  throw new TagferryError(
    "AUTH_DENIED",
    `${registry}: these credentials were refused a short time ago; Tagferry waits before it tries them again`,
    { where: registry, credentials: found?.from ?? "none" },
  );
}
