import type { Cancellable } from "../lib/cancel.ts";
import type { Repository } from "./reference.ts";

/** A login for a registry. It is never logged, never queued, and never part of an Action. */
export type Credential =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token (`identitytoken`, or a helper's `<token>` user). */
  | { readonly kind: "identityToken"; readonly token: string }
  /** A complete bearer token, sent unchanged (`registrytoken`, the token of a service account). */
  | { readonly kind: "bearer"; readonly token: string };

/** A credential and where it was found, for `tagferry auth`: `credHelpers in ~/.docker/config.json`. */
export type FoundCredential = { readonly credential: Credential; readonly from: string };

/**
 * The login for a repository; undefined: anonymous. It is read again each time, so that changes on disk are seen.
 *
 * @throws {TagferryError} CONFIG_SECRET, AUTH_FILE, AUTH_HELPER
 */
export type CredentialStore = (
  repository: Repository,
  options?: Cancellable,
) => Promise<FoundCredential | undefined>;
