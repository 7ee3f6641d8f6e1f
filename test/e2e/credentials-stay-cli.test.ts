import { mkdir, writeFile } from "node:fs/promises";

import { describe, expect, onTestFinished, test } from "vitest";

import { LOG_LEVELS } from "../../src/lib/log-level.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import { makeCertificates } from "../support/certificates.ts";
import { buildImage, pushTo } from "../support/images/images.ts";
import { acceptsEverything, header, redirect, registryError } from "../support/registry/faults.ts";
import { startRegistry, type TestRegistry } from "../support/registry/registry.ts";
import type { Fault } from "../support/registry/rules.ts";
import { refusal } from "../support/registry/wire.ts";
import { type Run, tagferry, writeConfig } from "../support/tagferry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";

const REPOSITORY = "library/app";
const USERNAME = "robot";
const SOURCE_PASSWORD = "canary-of-the-source";
const TARGET_PASSWORD = "canary-of-the-target";

/** Where people keep their credentials. */
const KEPT = ["files", "variables", "auth file", "auth variable"] as const;
type Kept = (typeof KEPT)[number];

const SCHEMES = ["basic", "bearer"] as const;

type World = {
  readonly directory: TemporaryDirectory;
  readonly source: TestRegistry;
  readonly target: TestRegistry;
  /** Another party's server on another port. It accepts everything. */
  readonly stranger: TestRegistry;
  readonly from: string;
  readonly to: string;
  /** Runs the program with the credentials of source and target. */
  run(...args: readonly string[]): Promise<Run>;
};

type WorldOptions = {
  readonly scheme: (typeof SCHEMES)[number];
  readonly kept: Kept;
  /** The source speaks TLS. */
  readonly tls?: boolean;
};

/** An image at the source, a mirror of it to the target, each with a password of its own. */
async function openWorld({ scheme, kept, tls = false }: WorldOptions): Promise<World> {
  const stack = new AsyncDisposableStack();
  onTestFinished(() => stack.disposeAsync());
  const { ca, server } = await makeCertificates();
  const directory = stack.use(await temporaryDirectory());
  const auth = (password: string) => ({ auth: { kind: scheme, username: USERNAME, password } });
  const source = stack.use(
    await startRegistry({ ...auth(SOURCE_PASSWORD), ...(tls ? { tls: server } : {}) }),
  );
  const target = stack.use(await startRegistry(auth(TARGET_PASSWORD)));
  const stranger = stack.use(await startRegistry());
  const passwords = { [source.host]: SOURCE_PASSWORD, [target.host]: TARGET_PASSWORD };
  const { env, credentials } = await keep(kept, directory, passwords);
  const tokenRealms = ["127.0.0.1"]; // their token servers have ports of their own
  const config = await writeConfig(directory.path, {
    version: 1,
    registries: {
      [source.host]: {
        ...(tls ? { ca: ca.certFile } : { plainHttp: true }),
        ...credentials(source.host),
        tokenRealms,
      },
      [target.host]: { plainHttp: true, ...credentials(target.host), tokenRealms },
    },
    mirrors: [
      {
        name: "app",
        source: `${source.host}/${REPOSITORY}`,
        target: `${target.host}/${REPOSITORY}`,
        tags: ["1"],
      },
    ],
  });
  await pushTo(source, REPOSITORY, buildImage({ seed: "stay", layers: [50_000] }), "1");
  return {
    directory,
    source,
    target,
    stranger,
    from: `${source.host}/${REPOSITORY}`,
    to: `${target.host}/${REPOSITORY}`,
    run: (...args) => tagferry([...args, "-c", config], { env }),
  };
}

/** Writes passwords where they are kept; tells the environment and what the configuration says of each registry. */
async function keep(
  kept: Kept,
  directory: TemporaryDirectory,
  passwords: Readonly<Record<string, string>>,
): Promise<{ env: Record<string, string>; credentials: (host: string) => object }> {
  const auths = Object.fromEntries(
    Object.entries(passwords).map(([host, password]) => [host, { auth: base64(password) }]),
  );
  switch (kept) {
    case "files":
      for (const [host, password] of Object.entries(passwords))
        await writeFile(directory.join(variable(host)), `${password}\n`);
      return {
        env: {},
        credentials: (host) => ({ credentials: { username: USERNAME, passwordFile: variable(host) } }),
      };
    case "variables":
      return {
        env: Object.fromEntries(
          Object.entries(passwords).map(([host, password]) => [variable(host), password]),
        ),
        credentials: (host) => ({ credentials: { username: USERNAME, password: `\${${variable(host)}}` } }),
      };
    case "auth file":
      await mkdir(directory.join("docker"));
      await writeFile(directory.join("docker", "config.json"), JSON.stringify({ auths }));
      return { env: { DOCKER_CONFIG: directory.join("docker") }, credentials: () => ({}) };
    case "auth variable":
      return { env: { DOCKER_AUTH_CONFIG: JSON.stringify({ auths }) }, credentials: () => ({}) };
  }
}

function variable(host: string): string {
  return `PASSWORD_${host.replaceAll(/\W/g, "_")}`;
}

function base64(password: string): string {
  return Buffer.from(`${USERNAME}:${password}`).toString("base64");
}

/** A password in every readable form, and the tokens that were made from it. */
function secretsOf(password: string, { ledger }: TestRegistry): readonly string[] {
  const sent = ledger.entries.flatMap(({ authorization }) => authorization?.split(" ").slice(1) ?? []);
  return [password, base64(password), Buffer.from(password).toString("base64url"), ...new Set(sent)];
}

/** Everything that arrived at a server: paths, headers, and the lengths of bodies. */
function heardBy({ ledger }: TestRegistry): string {
  return JSON.stringify(ledger.entries.map(({ path, query, headers }) => [path, query, headers]));
}

/** No server got a secret of another one, and the program printed none. */
function expectSecretsKept({ source, target, stranger }: World, { stdout, stderr }: Run): void {
  const secrets = [...secretsOf(SOURCE_PASSWORD, source), ...secretsOf(TARGET_PASSWORD, target)];
  const ofSource = secretsOf(SOURCE_PASSWORD, source);
  const ofTarget = secretsOf(TARGET_PASSWORD, target);
  for (const [who, text, others] of [
    ["stdout", stdout, secrets],
    ["stderr", stderr, secrets],
    ["the stranger", heardBy(stranger), secrets],
    ["the source", heardBy(source), ofTarget],
    ["the target", heardBy(target), ofSource],
  ] as const)
    expect({ who, learned: others.filter((secret) => text.includes(secret)) }).toEqual({ who, learned: [] });
  for (const { headers, requestBytes } of stranger.ledger.entries) {
    expect(headers).not.toHaveProperty("authorization");
    expect(headers).not.toHaveProperty("cookie");
    expect(requestBytes).toBe(0);
  }
}

type Attack = {
  readonly row: string;
  readonly misbehave: (world: World) => void;
  readonly args: (world: World) => readonly string[];
  /** The expected message; undefined: the program succeeds. */
  readonly code: string | undefined;
  /** The number of requests to the other server, all without credentials. */
  readonly asked?: "some" | "none";
};

const SYNC = (): readonly string[] => ["sync"];
const COPY = ({ from, to }: World): readonly string[] => ["copy", `${from}:1`, `${to}:1`];
const TAGS = ({ from }: World): readonly string[] => ["tags", from];

const authorized = { always: true, authorized: true } as const;

const ATTACKS: readonly Attack[] = [
  {
    row: "T1 a realm on another host",
    misbehave: ({ source, stranger }) =>
      source.on({ authorized: false, always: true }, bearerRealm(elsewhere(stranger))),
    args: SYNC,
    code: "AUTH_REALM",
  },
  {
    row: "T1 a realm on another host that comes when the credentials are known to be good",
    misbehave: ({ source, stranger }) =>
      source.on({ ...authorized, kind: "blob" }, bearerRealm(elsewhere(stranger))),
    args: COPY,
    code: "AUTH_REALM",
  },
  {
    row: "T2 a redirect of blobs to a stranger who asks who we are",
    misbehave: ({ source, stranger }) => {
      source.on({ ...authorized, kind: "blob" }, redirect(`${stranger.url}/elsewhere`));
      stranger.on(
        { always: true },
        registryError(401, "UNAUTHORIZED", { headers: { "www-authenticate": 'Basic realm="x"' } }),
      );
    },
    args: SYNC,
    code: "",
    asked: "some",
  },
  {
    row: "T2 a redirect of blobs to a stranger who has them",
    misbehave: ({ source, stranger }) => {
      source.on({ ...authorized, kind: "blob", method: "GET" }, (request) => ({
        status: 307,
        headers: {
          location: `${stranger.url}/${request.reference}?X-Amz-Signature=0badcafe`,
          "set-cookie": "session=canary; Domain=127.0.0.1",
        },
      }));
      stranger.on({ always: true }, ({ path }) => ({
        status: 200,
        headers: { "content-type": "application/octet-stream" },
        body: source.store.blobs.get(parseDigest(path.slice(1))) ?? Buffer.of(),
      }));
    },
    args: COPY,
    code: undefined,
    asked: "some",
  },
  {
    row: "T2 a redirect of manifests",
    misbehave: ({ source, stranger }) =>
      source.on({ ...authorized, kind: "manifest" }, redirect(`${stranger.url}/v2/x`)),
    args: SYNC,
    code: "",
    asked: "some",
  },
  {
    row: "T3 an upload that is sent to another host",
    misbehave: ({ target, stranger }) =>
      target.on(
        { ...authorized, method: "POST" },
        header("location", `${stranger.url}/v2/x/blobs/uploads/1`),
      ),
    args: COPY,
    code: "UPLOAD_LOCATION",
  },
  {
    row: "T3 an upload whose end is redirected",
    misbehave: ({ target, stranger }) =>
      target.on({ ...authorized, method: "PUT", kind: "upload" }, redirect(`${stranger.url}/take`)),
    args: SYNC,
    code: "",
  },
  {
    row: "T3 a manifest whose upload is redirected",
    misbehave: ({ target, stranger }) =>
      target.on({ ...authorized, method: "PUT", kind: "manifest" }, redirect(`${stranger.url}/take`)),
    args: SYNC,
    code: "",
  },
  {
    row: "T4 the next page of a listing on another host",
    misbehave: ({ source, stranger }) =>
      source.on(
        { ...authorized, kind: "tags" },
        header("link", `<${stranger.url}/v2/${REPOSITORY}/tags/list?last=1>; rel="next"`),
      ),
    args: TAGS,
    code: "LINK_FOREIGN",
  },
  {
    row: "T4 the next page of referrers on another host",
    misbehave: ({ source, stranger }) =>
      source.on(
        { ...authorized, kind: "referrers" },
        header("link", `<${stranger.url}/v2/${REPOSITORY}/referrers/x?page=2>; rel="next"`),
      ),
    args: COPY,
    code: "LINK_FOREIGN",
  },
];

/** A host name instead of an address. */
function elsewhere({ url }: TestRegistry): string {
  return url.replace("127.0.0.1", "localhost");
}

function bearerRealm(url: string): ReturnType<typeof registryError> {
  const challenge = `Bearer realm="${url}/token",service="x"`;
  return registryError(401, "UNAUTHORIZED", { headers: { "www-authenticate": challenge } });
}

describe.for(SCHEMES)("logged in by %s, the program tells nobody who it is:", (scheme) => {
  test.for(ATTACKS.map((attack, index) => ({ ...attack, kept: KEPT[index % KEPT.length] ?? "files" })))(
    "$row (credentials in $kept)",
    async ({ misbehave, args, code, asked = "none", kept }) => {
      const world = await openWorld({ scheme, kept });
      misbehave(world);
      world.stranger.on({ always: true }, acceptsEverything);
      const run = await world.run(...args(world), "--log-level", "debug", "-o", "json");
      const said = `${run.stdout}${run.stderr}`;
      expect(said).toContain(code ?? "");
      expect(run.code === 0, said).toBe(code === undefined);
      expect(world.stranger.ledger.count() > 0, heardBy(world.stranger)).toBe(asked === "some");
      expectSecretsKept(world, run);
      expect(said).not.toMatch(/0badcafe|session=/);
    },
  );
});

describe("T5 what began encrypted stays so:", () => {
  test.for<Pick<Attack, "row" | "misbehave" | "args"> & { code: string }>([
    {
      row: "a realm without TLS",
      misbehave: ({ source, stranger }) => source.on({ always: true }, bearerRealm(elsewhere(stranger))),
      args: SYNC,
      code: "AUTH_REALM",
    },
    {
      row: "a redirect of manifests to the same host without TLS",
      misbehave: ({ source, stranger }) =>
        source.on({ ...authorized, kind: "manifest" }, redirect(`${elsewhere(stranger)}/v2/x`)),
      args: SYNC,
      code: "REDIRECT_REFUSED",
    },
    {
      row: "a redirect of blobs without TLS",
      misbehave: ({ source, stranger }) =>
        source.on({ ...authorized, kind: "blob" }, redirect(`${elsewhere(stranger)}/x`)),
      args: COPY,
      code: "REDIRECT_REFUSED",
    },
    {
      row: "the next page of a listing without TLS",
      misbehave: ({ source, stranger }) =>
        source.on(
          { ...authorized, kind: "tags" },
          header("link", `<${elsewhere(stranger)}/v2/${REPOSITORY}/tags/list?last=1>; rel="next"`),
        ),
      args: TAGS,
      code: "LINK_FOREIGN",
    },
  ])("$row", async ({ misbehave, args, code }) => {
    const world = await openWorld({ scheme: "basic", kept: "files", tls: true });
    misbehave(world);
    world.stranger.on({ always: true }, acceptsEverything);
    const run = await world.run(...args(world), "--log-level", "debug", "-o", "json");
    expect(`${run.stdout}${run.stderr}`).toContain(code);
    expect(world.stranger.ledger.count()).toBe(0);
    expectSecretsKept(world, run);
  });

  test("a port that speaks no TLS is not asked without it", async () => {
    const world = await openWorld({ scheme: "basic", kept: "auth file" });
    const docker = world.directory.join("docker");
    const { code, stderr } = await tagferry(["tags", world.from, "--log-level", "debug"], {
      env: { DOCKER_CONFIG: docker },
      cwd: docker,
    });
    expect({ code, asked: world.source.ledger.count() }).toEqual({ code: 2, asked: 0 });
    expect(stderr).toContain("REGISTRY_TLS");
  });
});

/** Answers that repeat secrets, as debugging pages, gateways and careless plugins do. */
const echo: Fault = ({ headers: { authorization = "nothing" } }) =>
  refusal(
    400,
    "UNSUPPORTED",
    `you sent ${authorization} (${authorization.split(" ")[1]}): ${SOURCE_PASSWORD}`,
  );

describe("T15 a registry that says aloud what it was sent", () => {
  test.for(LOG_LEVELS.map((level, index) => ({ level, scheme: SCHEMES[index % 2] ?? "basic" })))(
    "is not repeated: $scheme, log level $level",
    async ({ scheme, level }) => {
      const index = LOG_LEVELS.indexOf(level);
      const world = await openWorld({ scheme, kept: KEPT[index % KEPT.length] ?? "files" });
      world.source.on({ ...authorized, method: "GET", kind: "manifest" }, echo);
      const output = (["json", "text", "yaml"] as const)[index % 3] ?? "json";
      const format = index % 2 === 0 ? "json" : "pretty";
      const args = ["--log-level", level, "--log-format", format, "-o", output];
      const run = await world.run("sync", ...args);
      expect(run.code).toBe(2);
      expect(`${run.stdout}${run.stderr}`).toContain("you sent");
      expectSecretsKept(world, run);
    },
  );

  test("is not repeated by a command that fails as a whole", async () => {
    const world = await openWorld({ scheme: "bearer", kept: "files" });
    world.source.on({ ...authorized, method: "GET", kind: "manifest" }, echo);
    const run = await world.run(...COPY(world));
    expect(run.stderr).toContain("you sent");
    expectSecretsKept(world, run);
  });
});

test("T15 `auth` tells where credentials are, and whose, but not what they are", async () => {
  for (const kept of KEPT) {
    const world = await openWorld({ scheme: "bearer", kept });
    const run = await world.run("auth", world.source.host, "--log-level", "debug", "-o", "json");
    expect(JSON.parse(run.stdout)).toMatchObject([{ works: true, username: USERNAME }]);
    expectSecretsKept(world, run);
  }
});

test.for([
  ["a reference", ["tags", "robot:canary-of-the-source@127.0.0.1/library/app"]],
  ["an address", ["copy", "https://robot:canary-of-the-source@127.0.0.1/library/app:1", "oci:x"]],
] as const)("T15 credentials in %s of the command line are refused, and not repeated", async ([, args]) => {
  const { code, stdout, stderr } = await tagferry([...args, "--log-level", "debug"]);
  expect(code).toBe(3);
  expect(`${stdout}${stderr}`).not.toContain(SOURCE_PASSWORD);
});

test.for([
  `registries: {quay.io: {connections: 0, credentials: {username: u, password: ${SOURCE_PASSWORD}}}}`,
  `registries: {quay.io: {credentials: {username: 5, password: "${SOURCE_PASSWORD}"}}}`,
  `registries: {"https://u:${SOURCE_PASSWORD}@quay.io": {}}`,
  `mirrors: [{source: "https://u:${SOURCE_PASSWORD}@quay.io/a/b", target: "x/y", tags: ["1"]}]`,
  `daemon: {listen: here, redis: "redis://:${SOURCE_PASSWORD}@localhost:6379"}`,
  `registries: {quay.io: {credentials: {username: u, password: '${SOURCE_PASSWORD}'}`,
])("T15 a password that stands in the configuration is refused, and not shown: %s", async (line) => {
  await using directory = await temporaryDirectory();
  const config = await writeConfig(directory.path, `version: 1\n${line}\n`);
  const run = await tagferry(["validate", config, "--log-level", "debug"]);
  expect(run.code, run.stdout).toBe(3);
  expect(`${run.stdout}${run.stderr}`).not.toContain(SOURCE_PASSWORD);
});
