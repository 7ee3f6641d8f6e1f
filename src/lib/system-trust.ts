import { existsSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";

/** Where OpenSSL looks. Node complains on stderr when it is missing; then `bin/tagferry` decides. */
const DIRECTORY = "/etc/ssl/certs";

let isTrusted = false;

/**
 * Trusts the certificate authorities of the system, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, besides those of
 * Node, in the whole process. Call this before a TLS connection is made. Reading them takes 30 ms of CPU and more, so
 * it is done when TLS is used, and once. (`node --use-system-ca` reads them in every process that loads `node:tls`.)
 */
export function trustSystem(): void {
  if (isTrusted) return;
  isTrusted = true;
  if (!existsSync(DIRECTORY)) return;
  setDefaultCACertificates([...new Set([...getCACertificates("default"), ...getCACertificates("system")])]);
}
