import { describe } from "vitest";

import { makeCertificates } from "../../support/certificates.ts";
import { registry, testRows, type Row } from "../scene.ts";

const ROWS: readonly Row[] = [
  { row: "A19 a scheme", text: registry("https://quay.io: {}"), expected: ["CONFIG_REGISTRY 7:3"] },
  { row: "A19 a user", text: registry('"u:p@quay.io": {}'), expected: ["CONFIG_REGISTRY 7:3"] },
  { row: "A19 a query", text: registry('"quay.io?x": {}'), expected: ["CONFIG_REGISTRY 7:3"] },
  { row: "A20 port 0", text: registry('"quay.io:0": {}'), expected: ["CONFIG_PORT 7:3"] },
  { row: "A20 port 70000", text: registry('"quay.io:70000": {}'), expected: ["CONFIG_PORT 7:3"] },
  { row: "A20 no port after the colon", text: registry('"quay.io:": {}'), expected: ["CONFIG_PORT 7:3"] },
  { row: "A21 IPv6 without brackets", text: registry('"fd00::1": {}'), expected: ["CONFIG_REGISTRY 7:3"] },
  { row: "A22 a host that is not ASCII", text: registry('"quäy.io": {}'), expected: ["CONFIG_REGISTRY 7:3"] },
  {
    row: "A23 one registry under two names",
    text: registry("docker.io: {}\n  index.docker.io: {}"),
    expected: ["CONFIG_ALIAS_CONFLICT 8:3"],
  },
  {
    row: "A46 insecure with a CA",
    text: registry("quay.io: {insecure: true, ca: ca.crt}"),
    expected: ["CONFIG_INSECURE 7:13"],
  },
  {
    row: "A46 insecure for Docker Hub",
    text: registry("docker.io: {insecure: true}"),
    expected: ["CONFIG_INSECURE 7:15"],
  },
];

describe("a registry that is refused", async () => {
  const { ca } = await makeCertificates();
  testRows(ROWS, { "ca.crt": ca.cert });
});
