import { createHmac } from "node:crypto";
import { PassThrough } from "node:stream";

import { describe, expect, test } from "vitest";

import { TagferryError } from "../../../src/errors/error.ts";
import { openLog } from "../../../src/lib/log.ts";
import { ask, type AskOptions, type Reply } from "../../support/ask.ts";
import { openTestWeb, type TestWeb } from "../../support/web.ts";

const SECRET = "webhook-secret-0815";
const secretNow = async () => SECRET;
const SECRETS = {
  dockerhub: secretNow,
  harbor: secretNow,
  quay: secretNow,
  github: secretNow,
  generic: secretNow,
};
const JSON_TYPE = { "content-type": "application/json" };
const withBearer = (text: string) => ({ ...JSON_TYPE, authorization: `Bearer ${text}` });
const BEARER = { ...JSON_TYPE, authorization: `Bearer ${SECRET}` };
const AT = "2026-01-02T03:04:05.000Z";
const AT_S = Date.parse(AT) / 1000;

const openHooks = (): Promise<TestWeb> => openTestWeb({ token: async () => "the token", webhooks: SECRETS });

function send(
  web: TestWeb,
  path: string,
  body: unknown,
  headers: AskOptions["headers"] = BEARER,
): Promise<Reply> {
  return ask("POST", `${web.url}/hooks/${path}`, {
    headers,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

const codeOf = ({ body }: Reply): string => (JSON.parse(body.toString()) as { code: string }).code;
const signed = (body: string, event: string, secret = SECRET) => ({
  ...JSON_TYPE,
  "x-github-event": event,
  "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
});

const DOCKER_HUB = {
  callback_url: "http://169.254.169.254/latest",
  push_data: { pushed_at: AT_S, pusher: "acme", tag: "1.0" },
  repository: { name: "api", namespace: "acme", repo_name: "acme/api", repo_url: "http://evil.example" },
};
const RESOURCES = [{ digest: "sha256:0", tag: "1.0", resource_url: "harbor.corp.example/acme/api:1.0" }];
const HARBOR = {
  type: "PUSH_ARTIFACT",
  occur_at: AT_S,
  operator: "robot",
  event_data: { resources: RESOURCES },
};
const HARBOR_CLOUD = {
  specversion: "1.0",
  type: "harbor.artifact.pushed",
  source: "/projects/1/webhook/policies/15",
  time: AT,
  data: { resources: RESOURCES, repository: { name: "api" } },
};
const QUAY = { repository: "acme/api", docker_url: "quay.io/acme/api", updated_tags: ["1.0"] };
const GITHUB = {
  action: "published",
  registry_package: {
    name: "api",
    namespace: "acme",
    package_type: "CONTAINER",
    updated_at: AT,
    package_version: {
      package_url: "ghcr.io/acme/api:1.0",
      container_metadata: { tag: { name: "1.0", digest: "sha256:0" } },
    },
  },
};
const GENERIC = { repository: "registry.example:5000/acme/api", tag: "1.0", at: AT };

const SENDERS = [
  ["dockerhub", DOCKER_HUB, { repository: "docker.io/acme/api", tag: "1.0", at: AT }],
  ["harbor", HARBOR, { repository: "harbor.corp.example/acme/api", tag: "1.0", at: AT }],
  ["harbor", HARBOR_CLOUD, { repository: "harbor.corp.example/acme/api", tag: "1.0", at: AT }],
  ["quay", QUAY, { repository: "quay.io/acme/api", tag: "1.0" }],
  ["generic", GENERIC, { repository: "registry.example:5000/acme/api", tag: "1.0", at: AT }],
] as const;

describe("a push", () => {
  test.for(SENDERS)("is understood from %s", async ([sender, body, pushed]) => {
    await using web = await openHooks();
    const { status, body: answer } = await send(web, sender, body);
    expect([status, answer.toString()]).toEqual([202, '{"accepted":true}']);
    expect(web.view.asked).toEqual([{ kind: "hint", ...pushed }]);
  });

  test("is understood from GitHub, whose signature covers every byte", async () => {
    await using web = await openHooks();
    const body = JSON.stringify(GITHUB);
    expect((await send(web, "github", body, signed(body, "registry_package"))).status).toBe(202);
    expect(web.view.asked).toEqual([{ kind: "hint", repository: "ghcr.io/acme/api", tag: "1.0", at: AT }]);
    for (const headers of [
      signed(body, "registry_package", "another"),
      signed(`${body} `, "registry_package"),
      { ...signed(body, "registry_package"), "x-hub-signature-256": "" },
      BEARER, // a bearer is no signature
    ])
      expect((await send(web, "github", body, headers)).status).toBe(401);
    expect(web.view.asked).toHaveLength(1);
  });

  test.for([
    [
      "dockerhub",
      { ...DOCKER_HUB, repository: { repo_name: "nginx" } },
      { repository: "docker.io/library/nginx", tag: "1.0", at: AT },
    ],
    ["generic", { repository: "nginx" }, { repository: "docker.io/library/nginx" }],
    ["generic", { repository: "quay.io/a/b:2" }, { repository: "quay.io/a/b", tag: "2" }],
    ["generic", { repository: "quay.io/a/b", at: "2999-01-01T00:00:00Z" }, { repository: "quay.io/a/b" }],
    ["generic", { repository: "quay.io/a/b", at: "yesterday" }, { repository: "quay.io/a/b" }],
    [
      "quay",
      { ...QUAY, updated_tags: Array.from({ length: 10_000 }, (_, index) => `t${index}`) },
      { repository: "quay.io/acme/api" },
    ],
    [
      "harbor",
      { ...HARBOR, event_data: { resources: [...RESOURCES, ...RESOURCES] } },
      { repository: "harbor.corp.example/acme/api", tag: "1.0", at: AT },
    ],
  ] as const)("of %s is told in its plainest form, once: %j", async ([sender, body, pushed]) => {
    await using web = await openHooks();
    expect((await send(web, sender, body)).status).toBe(202);
    expect(web.view.asked).toEqual([{ kind: "hint", ...pushed }]);
  });
});

describe("a push by digest", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const byDigest = [{ digest, tag: digest, resource_url: `harbor.corp.example/acme/api@${digest}` }];

  test.for([
    { ...HARBOR, event_data: { resources: byDigest } },
    { ...HARBOR_CLOUD, data: { resources: byDigest } },
  ])("of Harbor names the repository and no tag, and is no error", async (body) => {
    await using web = await openHooks();
    expect((await send(web, "harbor", body)).status).toBe(202);
    expect(web.view.asked).toEqual([{ kind: "hint", repository: "harbor.corp.example/acme/api", at: AT }]);
  });
});

const openOwn = (): Promise<TestWeb> =>
  openTestWeb({ webhooks: { harbor: async () => "of-harbor", quay: async () => "of-quay" } });

describe("the secret of each sender", () => {
  test("is its own, and no other sender's", async () => {
    await using web = await openOwn();
    expect((await send(web, "harbor", HARBOR, withBearer("of-harbor"))).status).toBe(202);
    expect((await send(web, "harbor", HARBOR, withBearer("of-quay"))).status).toBe(401);
    expect((await send(web, "quay/of-quay", QUAY, JSON_TYPE)).status).toBe(202);
    expect((await send(web, "quay/of-harbor", QUAY, JSON_TYPE)).status).toBe(401);
  });

  test("is what turns it on: the others are off", async () => {
    await using web = await openOwn();
    for (const path of ["generic", "github", "dockerhub/of-quay"])
      expect((await send(web, path, GENERIC, withBearer("of-harbor"))).status).toBe(404);
  });
});

describe("the secret (E1)", () => {
  test.for([
    ["dockerhub", { ...JSON_TYPE, authorization: `Basic ${btoa(`any:${SECRET}`)}` }],
    ["dockerhub", BEARER],
    [`dockerhub/${SECRET}`, JSON_TYPE],
    [`quay/${SECRET}`, JSON_TYPE],
    ["harbor", { ...JSON_TYPE, authorization: SECRET }],
    ["harbor", BEARER],
    ["generic", BEARER],
  ] as const)("is accepted at %s as %j", async ([path, headers]) => {
    await using web = await openHooks();
    const body = Object.fromEntries(SENDERS.map(([sender, example]) => [sender, example]))[
      path.split("/")[0] ?? ""
    ];
    expect((await send(web, path, body, headers)).status).toBe(202);
    expect(web.view.asked).toHaveLength(1);
  });

  test.for([
    ["generic", JSON_TYPE],
    ["generic", { ...JSON_TYPE, authorization: "Bearer wrong" }],
    ["generic", { ...JSON_TYPE, authorization: "Bearer the token" }],
    ["generic", { ...JSON_TYPE, authorization: `Basic ${btoa(SECRET)}` }],
    ["generic", { ...JSON_TYPE, authorization: `Basic ${btoa(`${SECRET}:`)}` }],
    ["harbor", { ...JSON_TYPE, authorization: "" }],
    ["dockerhub/wrong", JSON_TYPE],
    [`dockerhub/${SECRET}x`, JSON_TYPE],
    [`dockerhub?secret=${SECRET}`, JSON_TYPE],
    ["quay/wrong", JSON_TYPE],
    ["github", JSON_TYPE],
  ] as const)("is missed at %s with %j, before the body is looked at", async ([path, headers]) => {
    await using web = await openHooks();
    const reply = await send(web, path, "{nonsense", headers);
    expect([reply.status, codeOf(reply)]).toEqual([401, "HOOK_SECRET"]);
    expect(web.view.asked).toEqual([]);
  });

  test("is mandatory: without one webhooks are off", async () => {
    await using web = await openTestWeb();
    for (const path of ["generic", "dockerhub/x"]) {
      const reply = await send(web, path, GENERIC);
      expect([reply.status, codeOf(reply)]).toEqual([404, "WEB_NOT_FOUND"]);
    }
  });

  test("is in no log line and no answer, also where it is part of the path", async () => {
    const stream = new PassThrough();
    const log = openLog({ level: "debug", format: "json", destination: stream });
    await using web = await openTestWeb({ log, webhooks: SECRETS });
    const replies = [
      await send(web, `dockerhub/${SECRET}`, DOCKER_HUB, JSON_TYPE),
      await send(web, `dockerhub/${SECRET}`, "{", JSON_TYPE),
      await send(web, `dockerhub/${SECRET}/more`, DOCKER_HUB, JSON_TYPE),
      await ask("GET", `${web.url}/hooks/dockerhub/${SECRET}`, { headers: { accept: "text/html" } }),
    ];
    web.view.fail(new Error("broken"));
    replies.push(await send(web, `quay/${SECRET}`, QUAY, JSON_TYPE));
    expect(replies.map(({ status }) => status)).toEqual([202, 400, 404, 405, 500]);
    const logged = String(stream.read());
    expect(logged).toContain("docker.io/acme/api");
    expect(logged + replies.map(({ body }) => body.toString()).join("")).not.toContain(SECRET);
  });
});

describe("the body", () => {
  test.for([300 * 1024, 10 * 1024 * 1024])("of %d bytes is too large (E2)", async (size) => {
    await using web = await openHooks();
    const reply = await send(web, "generic", JSON.stringify({ ...GENERIC, more: "x".repeat(size) }));
    expect([reply.status, codeOf(reply)]).toEqual([413, "WEB_TOO_LARGE"]);
    expect(web.view.asked).toEqual([]);
  });

  test("is too large too when it comes in chunks and does not say so", async () => {
    await using web = await openHooks();
    const chunks = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024).fill(32)),
    });
    const { status } = await fetch(`${web.url}/hooks/generic`, {
      method: "POST",
      headers: BEARER,
      body: chunks,
      duplex: "half",
    });
    expect(status).toBe(413);
  });

  test.for([
    ["no JSON", "{", BEARER],
    ["empty", "", BEARER],
    ["no object", "[]", BEARER],
    ["null", "null", BEARER],
    ["a form", JSON.stringify(GENERIC), { ...BEARER, "content-type": "application/x-www-form-urlencoded" }],
    ["text", JSON.stringify(GENERIC), { ...BEARER, "content-type": "text/plain" }],
    ["of no type", JSON.stringify(GENERIC), { authorization: BEARER.authorization }],
    ["100,000 deep", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, BEARER],
    ["33 deep", `{"repository":"quay.io/a/b","x":${"[".repeat(33)}${"]".repeat(33)}}`, BEARER],
    ["with a prototype", '{"repository":"quay.io/a/b","__proto__":{"tag":"x"}}', BEARER],
    ["with a prototype inside", '{"repository":"quay.io/a/b","x":[{"__proto__":1}]}', BEARER],
    ["with a key twice", '{"repository":"quay.io/a/b","repository":"quay.io/a/c"}', BEARER],
    ["of a bad tag", JSON.stringify({ ...GENERIC, tag: "../../x" }), BEARER],
    ["of a tag of 129 characters", JSON.stringify({ ...GENERIC, tag: "x".repeat(129) }), BEARER],
    ["of a number for a tag", JSON.stringify({ ...GENERIC, tag: 1 }), BEARER],
    ["of a bad repository", JSON.stringify({ repository: "quay.io/../x" }), BEARER],
    ["of a URL", JSON.stringify({ repository: "http://169.254.169.254/x" }), BEARER],
    ["of no repository", JSON.stringify({ tag: "1" }), BEARER],
    ["of another sender", JSON.stringify(DOCKER_HUB), BEARER],
  ] as const)("that is %s is refused (E3, E4, E7)", async ([, body, headers]) => {
    await using web = await openHooks();
    const reply = await send(web, "generic", body, headers);
    expect([reply.status, codeOf(reply)]).toEqual([400, "HOOK_BODY"]);
    expect(web.view.asked).toEqual([]);
  });

  test.for([
    ["harbor", { ...HARBOR, event_data: {} }],
    ["harbor", { ...HARBOR, event_data: { resources: [{ resource_url: 7 }] } }],
    ["harbor", {}],
    ["dockerhub", { push_data: {} }],
    ["quay", { ...QUAY, updated_tags: ["1.0", "-rf"] }],
    ["quay", { updated_tags: ["1.0"] }],
  ] as const)("of %s that says too little is refused: %j", async ([sender, body]) => {
    await using web = await openHooks();
    const reply = await send(web, sender, body);
    expect([reply.status, codeOf(reply)]).toEqual([400, "HOOK_BODY"]);
  });
});

describe("what is not for us", () => {
  test.for([
    ["harbor", { ...HARBOR, type: "DELETE_ARTIFACT" }],
    ["harbor", { ...HARBOR_CLOUD, type: "harbor.scan.completed" }],
    ["quay", { repository: "a/b", docker_url: "quay.io/a/b", build_id: "x" }],
  ] as const)("is accepted from %s and does nothing (E5): %j", async ([sender, body]) => {
    await using web = await openHooks();
    expect((await send(web, sender, body)).status).toBe(202);
    expect(web.view.asked).toEqual([]);
  });

  test.for([
    ["ping", { zen: "Keep it logically awesome." }],
    ["push", { ref: "refs/heads/main" }],
    ["registry_package", { registry_package: { ...GITHUB.registry_package, package_type: "npm" } }],
  ] as const)("is accepted from GitHub and does nothing: %s", async ([event, body]) => {
    await using web = await openHooks();
    const text = JSON.stringify(body);
    expect((await send(web, "github", text, signed(text, event))).status).toBe(202);
    expect(web.view.asked).toEqual([]);
  });

  test("is answered as what is: nobody learns what is mirrored (E6)", async () => {
    await using web = await openHooks();
    const known = await send(web, "generic", GENERIC);
    web.view.pushNotice = async () => ["one"];
    const unknown = await send(web, "generic", { ...GENERIC, tag: "2.0" });
    expect([known.status, known.body.toString()]).toEqual([unknown.status, unknown.body.toString()]);
  });
});

describe("again and again (E8, T18)", () => {
  test("a delivery that is sent again is accepted, and told once", async () => {
    await using web = await openHooks();
    const statuses = [await send(web, "generic", GENERIC), await send(web, "generic", GENERIC)].map(
      ({ status }) => status,
    );
    expect(statuses).toEqual([202, 202]);
    expect(web.view.asked).toHaveLength(1);
  });

  test("a delivery that could not be queued is told when it is sent again", async () => {
    await using web = await openHooks();
    web.view.fail(new TagferryError("QUEUE_AWAY", "Redis is away"));
    expect((await send(web, "generic", GENERIC)).status).toBe(503);
    web.view.fail();
    expect((await send(web, "generic", GENERIC)).status).toBe(202);
    expect(web.view.asked).toHaveLength(1);
  });

  test("a flood of one sender, also of the same delivery, takes nothing from the others", async () => {
    await using web = await openHooks();
    const statuses: number[] = [];
    for (let count = 0; count < 100; count += 1) statuses.push((await send(web, "generic", GENERIC)).status);
    expect(statuses.at(-1)).toBe(429);
    expect(web.view.asked).toHaveLength(1);
    expect((await send(web, "harbor", HARBOR)).status).toBe(202);
    expect((await send(web, "quay", QUAY)).status).toBe(202);
  });

  test("what concerns no mirror uses nothing of the budget, and is told to nobody", async () => {
    await using web = await openHooks();
    web.view.mirrorsReading = (repository) => (repository === "quay.io/a/mine" ? ["mine"] : []);
    for (let count = 0; count < 200; count += 1)
      expect((await send(web, "generic", { repository: `quay.io/a/other${count}` })).status).toBe(202);
    expect(web.view.asked).toEqual([]);
    expect((await send(web, "generic", { repository: "quay.io/a/mine" })).status).toBe(202);
    expect(web.view.asked).toHaveLength(1);
  });

  test("a flood is slowed down, and wrong secrets do not use up what is allowed", async () => {
    await using web = await openHooks();
    for (let count = 0; count < 100; count += 1) await send(web, "generic", GENERIC, JSON_TYPE);
    const replies: Reply[] = [];
    for (let count = 0; count < 200; count += 1)
      replies.push(await send(web, "generic", { repository: `quay.io/a/r${count}` }));
    const refused = replies.filter(({ status }) => status === 429);
    expect(replies[0]?.status).toBe(202);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.headers["retry-after"]).toBe("30");
    expect(web.view.asked).toHaveLength(replies.length - refused.length);
  });
});

test.for(["dockerhub", "harbor", "quay", "github", "generic"])(
  "GET /hooks/%s is not possible",
  async (sender) => {
    await using web = await openHooks();
    expect((await ask("GET", `${web.url}/hooks/${sender}`)).status).toBe(405);
  },
);
