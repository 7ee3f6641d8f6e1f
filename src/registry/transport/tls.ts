import {
  type ConnectionOptions,
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type SecureContextOptions,
} from "node:tls";

import { trustSystem } from "../../lib/system-trust.ts";

export type TrustOptions = {
  /** PEM. Trusted in addition to the system's authorities. */
  readonly ca?: string | undefined;
  readonly clientCertificate?: { readonly certificate: string; readonly key: string } | undefined;
  /** Accept any certificate of the registry itself. */
  readonly insecure: boolean;
};

/** TLS options for the registry itself, and for other hosts: these get no client certificate and no exceptions. */
export type Trust = { readonly own: () => TrustedOptions; readonly foreign: () => TrustedOptions };

export type TrustedOptions = Pick<ConnectionOptions, "secureContext" | "rejectUnauthorized" | "lookup">;

/**
 * Parses the certificates once, at the first connection. Otherwise each connection has its own copy of all 140
 * authorities, which costs megabytes and milliseconds.
 */
export function openTrust({ ca, clientCertificate, insecure }: TrustOptions): Trust {
  const { certificate: cert, key } = clientCertificate ?? {};
  const foreign = parsedOnce({ ca });
  const own = cert === undefined ? foreign : parsedOnce({ ca, cert, key });
  return {
    own: () => ({ ...own(), ...(insecure ? { rejectUnauthorized: false } : {}) }),
    foreign,
  };
}

function parsedOnce({
  ca,
  ...identity
}: Pick<SecureContextOptions, "cert" | "key"> & Pick<TrustOptions, "ca">): () => {
  readonly secureContext?: SecureContext;
} {
  let secureContext: SecureContext | undefined;
  const isPlain = ca === undefined && identity.cert === undefined;
  const parsed = (): SecureContext => {
    trustSystem();
    return createSecureContext({
      ...identity,
      ...(ca === undefined ? {} : { ca: [...getCACertificates("default"), ca] }),
    });
  };
  return () => (isPlain ? {} : { secureContext: (secureContext ??= parsed()) });
}
