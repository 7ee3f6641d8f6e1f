import {
  type ConnectionOptions,
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type SecureContextOptions,
} from "node:tls";

export type TrustOptions = {
  /** PEM, trusted besides the system's authorities. */
  readonly ca?: string | undefined;
  readonly clientCertificate?: { readonly certificate: string; readonly key: string } | undefined;
  /** Take any certificate from the registry itself. */
  readonly insecure: boolean;
};

/** Whom to trust and as whom to appear: at the registry itself, and (without its certificate and laxities) elsewhere. */
export type Trust = { readonly own: () => TrustedOptions; readonly foreign: () => TrustedOptions };

export type TrustedOptions = Pick<ConnectionOptions, "secureContext" | "rejectUnauthorized" | "lookup">;

/**
 * Certificates are parsed once, at the first connection: else every connection holds all 140 authorities of its own, which
 * takes megabytes and milliseconds each.
 */
export function openTrust({ ca, clientCertificate, insecure }: TrustOptions): Trust {
  const authorities = ca === undefined ? {} : { ca: [...getCACertificates("default"), ca] };
  const { certificate: cert, key } = clientCertificate ?? {};
  const foreign = parsedOnce(authorities);
  const own = cert === undefined ? foreign : parsedOnce({ ...authorities, cert, key });
  return {
    own: () => ({ ...own(), ...(insecure ? { rejectUnauthorized: false } : {}) }),
    foreign,
  };
}

function parsedOnce(certificates: SecureContextOptions): () => { readonly secureContext?: SecureContext } {
  let secureContext: SecureContext | undefined;
  const isPlain = Object.keys(certificates).length === 0;
  return () => (isPlain ? {} : { secureContext: (secureContext ??= createSecureContext(certificates)) });
}
