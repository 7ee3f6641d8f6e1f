import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { digestOf } from "../../src/oci/digest.ts";
import {
  formatLocation,
  formatReference,
  isRepositoryName,
  isTag,
  parseReference,
  parseRegistry,
  parseRepository,
  sameRepository,
} from "../../src/oci/reference.ts";
import { thrownBy } from "../support/thrown.ts";

const SHA256 = digestOf(Buffer.from("a"));
const SHA512 = digestOf(Buffer.from("a"), "sha512");

describe("parseReference", () => {
  test.for([
    ["nginx", { registry: "docker.io", repository: "library/nginx" }],
    ["nginx:1.27", { registry: "docker.io", repository: "library/nginx", tag: "1.27" }],
    ["prom/prometheus", { registry: "docker.io", repository: "prom/prometheus" }],
    ["docker.io/nginx", { registry: "docker.io", repository: "library/nginx" }],
    ["docker.io/library/nginx", { registry: "docker.io", repository: "library/nginx" }],
    ["index.docker.io/nginx", { registry: "docker.io", repository: "library/nginx" }],
    ["registry-1.docker.io/prom/node", { registry: "docker.io", repository: "prom/node" }],
    ["registry.hub.docker.com/library/nginx", { registry: "docker.io", repository: "library/nginx" }],
    ["Docker.IO/nginx", { registry: "docker.io", repository: "library/nginx" }],
    ["quay.io/a/b", { registry: "quay.io", repository: "a/b" }],
    ["quay.io/a", { registry: "quay.io", repository: "a" }],
    ["quay.io:443/a", { registry: "quay.io", repository: "a" }],
    ["QUAY.io/a", { registry: "quay.io", repository: "a" }],
    ["myhost/a", { registry: "docker.io", repository: "myhost/a" }],
    ["MyHost/a", { registry: "myhost", repository: "a" }],
    ["myhost:5000/a", { registry: "myhost:5000", repository: "a" }],
    ["localhost/a", { registry: "localhost", repository: "a" }],
    ["localhost:5000/a:v1", { registry: "localhost:5000", repository: "a", tag: "v1" }],
    ["127.0.0.1:5000/a", { registry: "127.0.0.1:5000", repository: "a" }],
    ["[::1]:5000/a/b:v1", { registry: "[::1]:5000", repository: "a/b", tag: "v1" }],
    ["[2001:DB8::1]/a", { registry: "[2001:db8::1]", repository: "a" }],
    ["xn--mller-kva.example/a", { registry: "xn--mller-kva.example", repository: "a" }],
    ["quay.io/a/b/c/d__e-f--g.h_i", { registry: "quay.io", repository: "a/b/c/d__e-f--g.h_i" }],
    [`quay.io/a@${SHA256}`, { registry: "quay.io", repository: "a", digest: SHA256 }],
    [`quay.io/a@${SHA512}`, { registry: "quay.io", repository: "a", digest: SHA512 }],
    [`quay.io/a:v1@${SHA256}`, { registry: "quay.io", repository: "a", tag: "v1", digest: SHA256 }],
    [`nginx@${SHA256}`, { registry: "docker.io", repository: "library/nginx", digest: SHA256 }],
    [`a:${"t".repeat(128)}`, { registry: "docker.io", repository: "library/a", tag: "t".repeat(128) }],
  ] as const)("reads %s", ([text, expected]) => {
    expect(parseReference(text)).toEqual(expected);
  });

  test.for([
    // A19: more than a host
    ["https://quay.io/a", "CONFIG_REGISTRY"],
    ["docker://quay.io/a", "CONFIG_REGISTRY"],
    ["user@quay.io/a", "CONFIG_REGISTRY"],
    ["user:secret@quay.io/a", "CONFIG_REGISTRY"],
    // A20: ports
    ["quay.io:0/a", "CONFIG_PORT"],
    ["quay.io:70000/a", "CONFIG_PORT"],
    ["quay.io:/a", "CONFIG_PORT"],
    ["quay.io:http/a", "CONFIG_PORT"],
    ["[::1]:0/a", "CONFIG_PORT"],
    ["[::1]:/a", "CONFIG_PORT"],
    // A21, A22: hosts
    ["::1/a", "CONFIG_REGISTRY"],
    ["2001:db8::1/a", "CONFIG_REGISTRY"],
    ["[::1/a", "CONFIG_REGISTRY"],
    ["[zz::1]/a", "CONFIG_REGISTRY"],
    ["[1:2]/a", "CONFIG_REGISTRY"],
    ["müller.example/a", "CONFIG_REGISTRY"],
    ["-quay.io/a", "CONFIG_REGISTRY"],
    ["quay..io/a", "CONFIG_REGISTRY"],
    [`${"a".repeat(300)}.io/a`, "CONFIG_REGISTRY"],
    // A24, A25: repositories
    ["quay.io/Upper/case", "CONFIG_REPOSITORY"],
    ["Nginx", "CONFIG_REPOSITORY"],
    ["quay.io/a/../b", "CONFIG_REPOSITORY"],
    ["quay.io/a//b", "CONFIG_REPOSITORY"],
    ["/a", "CONFIG_REPOSITORY"],
    ["quay.io/", "CONFIG_REPOSITORY"],
    ["quay.io/a/", "CONFIG_REPOSITORY"],
    ["quay.io/a?x=1", "CONFIG_REPOSITORY"],
    ["quay.io/a___b", "CONFIG_REPOSITORY"],
    ["quay.io/a b", "CONFIG_REPOSITORY"],
    ["quay.io/.a", "CONFIG_REPOSITORY"],
    [`quay.io/${"a".repeat(256)}`, "CONFIG_REPOSITORY"],
    // A26: tags
    ["nginx:", "CONFIG_TAG"],
    ["nginx:.1", "CONFIG_TAG"],
    ["nginx:-1", "CONFIG_TAG"],
    ["nginx:1:2", "CONFIG_TAG"],
    ["nginx:a b", "CONFIG_TAG"],
    [`nginx:${"t".repeat(129)}`, "CONFIG_TAG"],
    // A28: digests
    ["nginx@sha256:abc", "CONFIG_DIGEST"],
    [`nginx@${SHA256.toUpperCase()}`, "CONFIG_DIGEST"],
    [`nginx@sha256:${"A".repeat(64)}`, "CONFIG_DIGEST"],
    [`nginx@md5:${"a".repeat(32)}`, "CONFIG_DIGEST"],
    ["nginx@", "CONFIG_DIGEST"],
    [`nginx@${SHA256}@${SHA256}`, "CONFIG_DIGEST"],
    ["nginx@sha256:../../../etc/passwd", "CONFIG_DIGEST"],
    ["", "REFERENCE_INVALID"],
    [" nginx", "REFERENCE_INVALID"],
    ["nginx\n", "REFERENCE_INVALID"],
  ] as const)("refuses %j: %s", ([text, code]) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code }));
  });

  test.for([
    ["::1/a", "[::1]"],
    ["müller.example/a", "xn--mller-kva.example"],
    ["quay.io/Upper/Case", "upper/case"],
  ] as const)("says what was meant by %s", ([text, hint]) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ allowed: expect.stringContaining(hint) }),
      }),
    );
  });

  test.for([
    "user:s3cr3t@quay.io/a",
    "user:s3cr3t@quay.io:5000/a",
    "https://user:s3cr3t@quay.io/a",
    "user:s3cr3t@localhost",
    "user:s3cr3t@localhost:5000",
    "user:s3cr3t/x@quay.io/a",
    "user:@s3cr3t@quay.io/a",
  ])("never tells a password: %s", (text) => {
    const { message, details } = thrownBy(() => parseReference(text));
    expect(`${message} ${JSON.stringify(details)}`).not.toContain("s3cr3t");
  });

  test("reads back what formatReference writes", () => {
    const component = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
    const reference = fc.record(
      {
        registry: fc.constantFrom("docker.io", "quay.io", "localhost:5000", "[::1]:5000", "h.example:8443"),
        repository: fc.array(component, { minLength: 2, maxLength: 4 }).map((parts) => parts.join("/")),
        tag: fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/),
        digest: fc.constantFrom(SHA256, SHA512),
      },
      { requiredKeys: ["registry", "repository"] },
    );
    fc.assert(
      fc.property(reference, (given) => {
        expect(parseReference(formatReference(given))).toEqual(given);
      }),
    );
  });

  test("answers any text with a reference or an error of ours", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
        expect(["read", "TagferryError"]).toContain(outcomeOf(text));
      }),
    );
  });
});

/** The result of parsing a text: `read` only for names that can be used. */
function outcomeOf(text: string): string {
  try {
    const { repository, tag } = parseReference(text);
    return isRepositoryName(repository) && (tag === undefined || isTag(tag)) ? "read" : "unusable";
  } catch (error) {
    return error instanceof Error ? error.name : "no error";
  }
}

describe("parseRegistry", () => {
  test.for([
    "quay.io/path",
    "quay.io?x",
    "quay.io#x",
    "http://quay.io",
    "user@quay.io",
    "",
    "quay io",
    String.raw`quay.io\a`,
  ])('refuses "%s"', (text) => {
    expect(() => parseRegistry(text)).toThrow(expect.objectContaining({ code: "CONFIG_REGISTRY" }));
  });

  test.for([
    ["Registry.Example:8443", "registry.example:8443"],
    ["registry.example:443", "registry.example"],
    ["registry-1.docker.io:443", "docker.io"],
    ["[::1]:443", "[::1]"],
    ["image-registry.openshift-image-registry.svc:5000", "image-registry.openshift-image-registry.svc:5000"],
  ] as const)("writes %s as %s", ([text, expected]) => {
    expect(parseRegistry(text)).toBe(expected);
  });
});

test.for([
  ["nginx:1", "CONFIG_REPOSITORY"],
  [`nginx@${SHA256}`, "CONFIG_REPOSITORY"],
  ["nginx:", "CONFIG_TAG"],
] as const)("parseRepository refuses %s, where a repository is meant", ([text, code]) => {
  expect(() => parseRepository(text)).toThrow(expect.objectContaining({ code }));
});

test("two names of one repository are the same", () => {
  expect(sameRepository(parseRepository("index.docker.io/nginx"), parseRepository("nginx"))).toBe(true);
  expect(sameRepository(parseRepository("quay.io/nginx"), parseRepository("nginx"))).toBe(false);
});

test("a place is written as the command line takes it", () => {
  expect(formatLocation({ kind: "layout", directory: "/srv/a" })).toBe("oci:/srv/a");
  expect(formatLocation({ kind: "registry", registry: "quay.io", repository: "a/b" })).toBe("quay.io/a/b");
});
