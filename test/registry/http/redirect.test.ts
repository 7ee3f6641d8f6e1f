import { expect, test } from "vitest";

import { nextHop } from "../../../src/registry/http/redirect.ts";
import { isPrivateAddress, isPrivateHost } from "../../../src/registry/transport/private-address.ts";

const REGISTRY = new URL("https://registry.example/");
const FROM = new URL("https://registry.example/v2/team/app/blobs/sha256:0?sig=first");

const hop = (location: string | undefined, { inside = false, chain = [FROM] } = {}): Promise<string> =>
  nextHop(chain, location, { registryUrl: REGISTRY, max: 10, registryIsPrivate: async () => inside }).then(
    ({ href }) => href,
  );

test.for([
  ["https://cdn.example/x?X-Signature=1", "https://cdn.example/x?X-Signature=1"],
  ["/v2/library/app/blobs/sha256:0", "https://registry.example/v2/library/app/blobs/sha256:0"],
  ["//cdn.example/x", "https://cdn.example/x"],
] as const)("follows %s", async ([location, href]) => {
  expect(await hop(location)).toBe(href);
});

test("follows a private registry to its private storage", async () => {
  expect(await hop("https://10.0.0.7:9000/bucket", { inside: true })).toBe("https://10.0.0.7:9000/bucket");
});

test.for([
  undefined,
  "",
  "http://registry.example/x",
  "http://cdn.example/x",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "https://user:secret@cdn.example/x",
  "https://[",
  FROM.href,
  "https://127.0.0.1/x",
  "https://2130706433/x",
  "https://0x7f.1/x",
  "https://0177.0.0.1/x",
  "https://１２７.0.0.1/x",
  "https://localhost./x",
  "https://a.localhost/x",
  "https://169.254.169.254/latest/meta-data",
  "https://100.100.100.200/",
  "https://[::1]/x",
  "https://[::ffff:169.254.169.254]/x",
  "https://[::ffff:7f00:1]/x",
  "https://[64:ff9b::a9fe:a9fe]/x",
  "https://[2002:7f00:1::]/x",
  "https://[fd00:ec2::254]/x",
  "https://[fe80::1]/x",
  "https://0.0.0.0/x",
  "https://10.1.2.3/x",
  "https://192.168.1.1/x",
  "https://172.16.0.1/x",
  "https://224.0.0.1/x",
])("does not follow a public registry to %s", async (location) => {
  const refused = hop(location);
  await expect(refused).rejects.toMatchObject({ code: "REDIRECT_REFUSED" });
  const { message, details } = (await refused.catch((error: unknown) => error)) as Error & {
    details: unknown;
  };
  const said = `${message} ${JSON.stringify(details)}`;
  expect(said).toContain("https://registry.example/v2/team/app");
  expect(said).not.toMatch(/secret|sig=/);
});

test("gives up after ten", async () => {
  const chain = Array.from({ length: 11 }, (_, step) => new URL(`/${step}`, REGISTRY));
  await expect(hop("/next", { chain })).rejects.toMatchObject({ code: "REDIRECT_REFUSED" });
  expect(await hop("/next", { chain: chain.slice(1) })).toBe("https://registry.example/next");
});

test.for(["8.8.8.8", "104.18.0.1", "2606:4700::1111", "172.32.0.1", "100.128.0.1"])(
  "knows %s to be public",
  (address) => {
    expect(isPrivateAddress(address)).toBe(false);
  },
);

test.for(["example.com", "localhost.example.com", "notlocalhost"])(
  "knows %s not to be this machine by its name",
  (host) => {
    expect(isPrivateHost(host)).toBe(false);
  },
);
