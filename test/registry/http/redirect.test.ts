import { expect, test } from "vitest";

import { nextHop } from "../../../src/registry/http/redirect.ts";
import {
  type AddressClass,
  classOfAddress,
  classOfHost,
} from "../../../src/registry/transport/private-address.ts";

const REGISTRY = new URL("https://registry.example/");
const FROM = new URL("https://registry.example/v2/team/app/blobs/sha256:0?sig=first");

type Hop = { readonly allowed?: readonly AddressClass[]; readonly chain?: readonly URL[] };

const hop = (
  location: string | undefined,
  { allowed = ["public"], chain = [FROM] }: Hop = {},
): Promise<string> =>
  nextHop(chain, location, {
    registryUrl: REGISTRY,
    max: 10,
    mayRedirectTo: async (to) => allowed.includes(to),
  }).then(({ href }) => href);

test.for([
  ["https://cdn.example/x?X-Signature=1", "https://cdn.example/x?X-Signature=1"],
  ["/v2/library/app/blobs/sha256:0", "https://registry.example/v2/library/app/blobs/sha256:0"],
  ["//cdn.example/x", "https://cdn.example/x"],
] as const)("follows %s", async ([location, href]) => {
  expect(await hop(location)).toBe(href);
});

test("follows a private registry to its private storage", async () => {
  expect(await hop("https://10.0.0.7:9000/bucket", { allowed: ["private"] })).toBe(
    "https://10.0.0.7:9000/bucket",
  );
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
  "https://metadata.google.internal/computeMetadata/v1/",
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

test.for<readonly [AddressClass, readonly string[]]>([
  ["public", ["8.8.8.8", "104.18.0.1", "2606:4700::1111", "172.32.0.1", "100.128.0.1", "::ffff:808:808"]],
  [
    "private",
    ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1", "ff02::1"],
  ],
  ["private", ["64:ff9b::808:808", "2002:808:808::1", "64:ff9b::a00:1"]],
  ["loopback", ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "::7f00:1"]],
  ["loopback", ["64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:7f00:1"]],
  ["link", ["169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200"]],
  ["link", ["168.63.129.16", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"]],
])("takes for %s: %j", ([place, addresses]) => {
  expect(addresses.map(classOfAddress)).toEqual(addresses.map(() => place));
});

test.for<readonly [string, AddressClass]>([
  ["example.com", "public"],
  ["localhost.example.com", "public"],
  ["notlocalhost", "public"],
  ["LOCALHOST.", "loopback"],
  ["a.localhost", "loopback"],
  ["metadata.google.internal", "link"],
  ["Metadata.Google.Internal.", "link"],
  ["[fe80::1]", "link"],
])("takes %s by its name for %s", ([host, place]) => {
  expect(classOfHost(host)).toBe(place);
});
