import type { Cancellable } from "../lib/cancel.ts";
import type { Repository } from "./reference.ts";

/** Who we are at a registry. Never logged, never queued, never part of an Action. */
export type Credential =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token (`identitytoken`, or a helper's `<token>` user). */
  | { readonly kind: "identityToken"; readonly token: string }
  /** A ready bearer token, sent as it is (`registrytoken`, a service account's token). */
  | { readonly kind: "bearer"; readonly token: string };

/** A credential and where it was found, for `tagferry auth`: `credHelpers in ~/.docker/config.json`. */
export type FoundCredential = { readonly credential: Credential; readonly from: string };

/**
 * Who we are at a repository; undefined: nobody. Asked again each time, so that what changed on disk is seen.
 *
 * @throws {TagferryError} CONFIG_SECRET, AUTH_FILE, AUTH_HELPER
 */
export type CredentialStore = (
  repository: Repository,
  options?: Cancellable,
) => Promise<FoundCredential | undefined>;
