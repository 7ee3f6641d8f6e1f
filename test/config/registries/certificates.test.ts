import { describe } from "vitest";

import { makeCertificates } from "../../support/certificates.ts";
import { registry, testRows, type Row } from "../scene.ts";

const ROWS: readonly Row[] = [
  { row: "A44 a CA that is not PEM", text: registry("quay.io: {ca: text}"), expected: ["CONFIG_CA 7:17"] },
  { row: "A44 a CA that is missing", text: registry("quay.io: {ca: absent}"), expected: ["CONFIG_CA 7:17"] },
  {
    row: "A44 a CA that expired",
    text: registry("quay.io: {ca: expired.crt}"),
    expected: ["CONFIG_CA 7:17"],
  },
  {
    row: "A45 a certificate without its key",
    text: registry("quay.io: {clientCertificate: client.crt}"),
    expected: ["CONFIG_CLIENT_CERTIFICATE 7:32"],
  },
  {
    row: "A45 a key of another certificate",
    text: registry("quay.io: {clientCertificate: client.crt, clientKey: other.key}"),
    expected: ["CONFIG_CLIENT_CERTIFICATE 7:55"],
  },
  {
    row: "A45 an encrypted key",
    text: registry("quay.io: {clientCertificate: client.crt, clientKey: encrypted.key}"),
    expected: ["CONFIG_CLIENT_CERTIFICATE 7:55"],
  },
];

describe("a certificate that cannot be used", async () => {
  const authority = await makeCertificates();
  const { ca, client } = authority;
  const other = await authority.issue("other", { hosts: ["other"] });
  const expired = await authority.issue("expired", { hosts: ["expired"], expired: true });
  testRows(ROWS, {
    text: "no certificate",
    "client.crt": client.cert,
    "other.key": other.key,
    "ca.crt": ca.cert,
    "expired.crt": expired.cert,
    "encrypted.key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
  });
});
