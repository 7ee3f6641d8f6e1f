import { expect, test } from "vitest";

import { checkRealm } from "../../../src/registry/auth/realm.ts";
import { thrownBy } from "../../support/thrown.ts";

const policy = (registry: string, tokenRealms: readonly string[] = []) => ({
  registryUrl: new URL(registry),
  tokenRealms,
});

const ALLOWED: readonly (readonly [registry: string, realm: string, tokenRealms?: readonly string[]])[] = [
  ["https://registry-1.docker.io/", "https://auth.docker.io/token"],
  ["https://registry.gitlab.com/", "https://gitlab.com/jwt/auth"],
  ["https://ghcr.io/", "https://ghcr.io/token"],
  ["https://harbor.corp.example:8443/", "https://harbor.corp.example:8443/service/token?a=b"],
  ["https://quay.io/", "https://quay.io/v2/auth"],
  ["https://nvcr.io/", "https://nvcr.io/proxy_auth"],
  ["https://nvcr.io/", "https://authn.nvidia.com/token"],
  [
    "https://registry.redhat.io/",
    "https://registry.redhat.io/auth/realms/rhcc/protocol/redhat-docker-v2/auth",
  ],
  ["https://registry.corp.example/", "https://auth.corp.example/token", ["auth.corp.example"]],
  ["https://nvcr.io/", "https://authn.nvidia.com:444/token", ["authn.nvidia.com:444"]],
  ["http://10.1.2.3:5000/", "http://10.1.2.3:5000/token"],
];

test.for(ALLOWED)("lets credentials of %s go to %s", ([registry, realm, tokenRealms]) => {
  expect(checkRealm(realm, policy(registry, tokenRealms)).href).toBe(new URL(realm).href);
});

const REFUSED: readonly (readonly [registry: string, realm: string, tokenRealms?: readonly string[]])[] = [
  ["https://[fd00::1]:5000/", "https://[fd00::1]/token"],
  ["http://registry.corp.example/", "https://auth.corp.example/token"],
  ["http://registry.corp.example/", "http://auth.corp.example/token"],
  ["http://localhost:5000/", "http://localhost:5001/token"],
  ["http://127.0.0.1:5000/", "http://127.0.0.1:5001/token"],
  ["https://registry.corp.co.uk/", "https://auth.corp.co.uk/token"],
  ["https://ghcr.io/", "https://ghcr.io:8443/token"],
  ["https://registry.example.com/", "https://evil.test/token"],
  ["https://registry.example.com/", "https://auth.docker.io/token"],
  ["https://registry.gitlab.com:5050/", "https://gitlab.com/jwt/auth"],
  ["https://registry.example.com/", "https://example.com.evil.test/token"],
  ["https://registry.example.com/", "https://evilexample.com/token"],
  ["https://registry.corp.co.uk/", "https://evil.co.uk/token"],
  ["https://registry.redhat.io/", "https://sso.redhat.com/auth/realms/a/token"],
  ["https://nvcr.io/", "https://nvidia.com/token"],
  ["https://mine.github.io/", "https://theirs.github.io/token"],
  ["https://1234.dkr.ecr.eu-west-1.amazonaws.com/", "https://evil.s3.amazonaws.com/token"],
  ["https://registry.example.com/", "http://registry.example.com/token"],
  ["https://registry.example.com/", "https://user:secret@registry.example.com/token"],
  ["https://registry.example.com/", "https://@evil.test/token"],
  ["https://registry.example.com/", "https://127.0.0.1/token"],
  ["https://registry.example.com/", "https://169.254.169.254/latest"],
  ["https://registry.example.com/", "https://localhost/token"],
  ["https://10.0.0.1/", "https://11.0.0.1/token"],
  ["https://10.0.0.1:5000/", "https://10.0.0.2:5000/token"],
  ["https://localhost/", "https://evil.localhost/token"],
  ["https://registry/", "https://token/"],
  ["https://registry.example.com/", "file:///etc/passwd"],
  ["https://registry.example.com/", "ftp://registry.example.com/token"],
  ["https://registry.example.com/", "/token"],
  ["https://registry.example.com/", ""],
  ["https://registry.example.com/", "https://"],
  ["https://nvcr.io/", "https://authn.nvidia.com:444/token", ["authn.nvidia.com:443"]],
  ["https://nvcr.io/", "https://evil.authn.nvidia.com/token", ["authn.nvidia.com"]],
];

test.for(REFUSED)("keeps credentials of %s from %s", ([registry, realm, tokenRealms]) => {
  const error = thrownBy(() => checkRealm(realm, policy(registry, tokenRealms)));
  expect(error.code).toBe("AUTH_REALM");
  expect(error.message).toContain(new URL(registry).host);
  expect(error.message).not.toContain("secret");
});
