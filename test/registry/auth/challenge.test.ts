import { expect, test } from "vitest";

import { chooseChallenge, parseChallenges } from "../../../src/registry/auth/challenge.ts";

const read = (header: string | string[]): unknown =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, { ...parameters }]);

const CHALLENGES: readonly (readonly [string, string | string[], unknown])[] = [
  [
    "Docker Hub's",
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"',
    [
      [
        "bearer",
        {
          realm: "https://auth.docker.io/token",
          service: "registry.docker.io",
          scope: "repository:library/nginx:pull",
        },
      ],
    ],
  ],
  [
    "two in one header (Codeberg)",
    'Bearer realm="https://codeberg.org/v2/token",service="container_registry",scope="*",Basic realm="https://codeberg.org/v2"',
    [
      ["bearer", { realm: "https://codeberg.org/v2/token", service: "container_registry", scope: "*" }],
      ["basic", { realm: "https://codeberg.org/v2" }],
    ],
  ],
  [
    "several headers",
    ["Negotiate", 'Basic realm="corp"'],
    [
      ["negotiate", {}],
      ["basic", { realm: "corp" }],
    ],
  ],
  [
    "unquoted values (OpenShift)",
    'Basic realm=openshift,error="access denied"',
    [["basic", { realm: "openshift", error: "access denied" }]],
  ],
  [
    "an unquoted scope (NVIDIA)",
    "Bearer realm=https://nvcr.io/proxy_auth,scope=repository:nvidia/cuda:pull",
    [["bearer", { realm: "https://nvcr.io/proxy_auth", scope: "repository:nvidia/cuda:pull" }]],
  ],
  [
    "commas and equals signs within quotes",
    'Bearer realm="https://a.example/t?x=1,y=2",scope="repository:a:pull,push repository:b:pull"',
    [["bearer", { realm: "https://a.example/t?x=1,y=2", scope: "repository:a:pull,push repository:b:pull" }]],
  ],
  [
    "escapes",
    String.raw`Basic realm="say \"hi\" \\ there"`,
    [["basic", { realm: String.raw`say "hi" \ there` }]],
  ],
  ["any case of names", 'BEARER ReAlM="x",SERVICE="y"', [["bearer", { realm: "x", service: "y" }]]],
  ["spaces around", 'Bearer realm = "x" , service =  "y"', [["bearer", { realm: "x", service: "y" }]]],
  ["an error alone", 'Bearer error="invalid_token"', [["bearer", { error: "invalid_token" }]]],
  ["an empty value", 'Bearer realm="",service=', [["bearer", { realm: "", service: "" }]]],
  ["a quote that never ends", 'Bearer realm="https://a', [["bearer", { realm: "https://a" }]]],
  ["nothing", "", []],
  ["only separators", " , ,, ", []],
  ["garbage before", '"?" =; Basic realm="x"', [["basic", { realm: "x" }]]],
];

test.for(CHALLENGES)("reads %s", ([, header, expected]) => {
  expect(read(header)).toEqual(expected);
});

const CHOICES: readonly (readonly [string, string, string | undefined])[] = [
  ["Bearer before Basic", 'Basic realm="b",Bearer realm="a"', "bearer"],
  ["Basic where Bearer names no realm", 'Bearer error="x",Basic realm="b"', "basic"],
  ["Basic past Negotiate, NTLM and Digest", 'Negotiate,NTLM,Digest realm="d",Basic realm="b"', "basic"],
  ["nothing where only strangers are offered", 'Negotiate,Digest realm="d"', undefined],
];

test.for(CHOICES)("chooses %s", ([, header, scheme]) => {
  expect(chooseChallenge(parseChallenges(header))?.scheme).toBe(scheme);
});

test("keeps names that every object has out of what is read", () => {
  const [challenge] = parseChallenges('Bearer constructor="x",realm="r"');
  expect(challenge?.parameters["toString"]).toBeUndefined();
  expect(challenge?.parameters["constructor"]).toBe("x");
});
