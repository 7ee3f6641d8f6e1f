import { createPrivateKey, X509Certificate } from "node:crypto";

import type { RegistrySettings } from "../config.ts";
import type { RegistryShape } from "../file/schema.ts";
import { readNamedFile, type RegistryReport } from "./report.ts";

/** The authority of a registry, in PEM. No certificate in it may have expired. */
export function readCa(path: string, { directory, problem }: RegistryReport): string | undefined {
  const file = readNamedFile(path, directory);
  const fail = (why: string): undefined =>
    problem(["ca"], "CONFIG_CA", `the CA file ${path} ${why}`, { found: path });
  if (file.kind === "failed") return fail(file.why);
  const certificates = file.text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g);
  if (!certificates) return fail(file.text.includes("-----BEGIN") ? "holds no certificate" : "is not PEM");
  for (const pem of certificates) {
    try {
      const { validTo } = new X509Certificate(pem);
      if (Date.parse(validTo) < Date.now()) return fail(`contains a certificate that expired on ${validTo}`);
    } catch {
      return fail("contains a certificate that cannot be read");
    }
  }
  return file.text;
}

/** Certificate and key must be a pair; the key must have no passphrase. */
export function readClientCertificate(
  shape: RegistryShape,
  { directory, problem }: RegistryReport,
): RegistrySettings["clientCertificate"] {
  const { clientCertificate, clientKey } = shape;
  if (clientCertificate === undefined && clientKey === undefined) return undefined;
  const fail = (at: string, why: string): undefined => problem([at], "CONFIG_CLIENT_CERTIFICATE", why);
  if (clientCertificate === undefined) return fail("clientKey", "clientKey is set without clientCertificate");
  if (clientKey === undefined) return fail("clientCertificate", "clientCertificate is set without clientKey");
  const certificate = readNamedFile(clientCertificate, directory);
  if (certificate.kind === "failed")
    return fail("clientCertificate", `the file ${clientCertificate} ${certificate.why}`);
  const key = readNamedFile(clientKey, directory);
  if (key.kind === "failed") return fail("clientKey", `the file ${clientKey} ${key.why}`);
  if (/ENCRYPTED/.test(key.text)) return fail("clientKey", `the key in ${clientKey} is encrypted`);
  try {
    const matches = new X509Certificate(certificate.text).checkPrivateKey(createPrivateKey(key.text));
    if (!matches)
      return fail(
        "clientKey",
        `the key in ${clientKey} does not belong to the certificate in ${clientCertificate}`,
      );
  } catch {
    return fail(
      "clientCertificate",
      `${clientCertificate} and ${clientKey} are not a PEM certificate and a PEM key`,
    );
  }
  return { certificate: certificate.text, key: key.text };
}
