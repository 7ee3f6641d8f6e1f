import { readFile, writeFile } from "node:fs/promises";

import { expect } from "vitest";

import { makeCertificates } from "../../support/certificates.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { outcomesOf, syncWith } from "../../support/in-process.ts";
import { peakRequests } from "../../support/ledger.ts";
import { delay, stall } from "../../support/registry/connection-faults.ts";
import { status } from "../../support/registry/faults.ts";
import { startRegistry, type RegistryOptions, type TestRegistry } from "../../support/registry/registry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../support/temporary.ts";
import type { KeyTests } from "../keys.test.ts";

const USER = { username: "ferry", password: "correct-horse" };
const image = buildImage({ seed: "keys", layers: [1_000] });

type Facts = { readonly registry: TestRegistry; readonly directory: TemporaryDirectory };

/** Copies within one registry with these `settings`. Returns the result. */
async function copied(
  options: RegistryOptions,
  settings: (facts: Facts) => Promise<object> | object,
  {
    env = {},
    tags = 1,
    look = () => {},
    layerBytes = 1_000,
    source,
    more = {},
  }: {
    readonly env?: Readonly<Record<string, string>>;
    readonly tags?: number;
    readonly look?: (facts: Facts) => unknown;
    readonly layerBytes?: number;
    readonly source?: string;
    readonly more?: object;
  } = {},
): Promise<string> {
  await using directory = await temporaryDirectory();
  await using registry = await startRegistry(options);
  for (let tag = 0; tag < tags; tag += 1)
    await pushTo(registry, "a/app", buildImage({ seed: `${tag}`, layers: [layerBytes] }), `${tag}`);
  const facts = { registry, directory };
  const report = await syncWith(
    directory,
    {
      registries: { [registry.host]: await settings(facts), ...more },
      mirrors: [
        {
          source: source ?? `${registry.host}/a/app`,
          target: `${registry.host}/b/app`,
          tags: source === undefined ? { all: true } : ["v1"],
          referrers: false,
        },
      ],
    },
    { env: { DOCKER_CONFIG: directory.path, ...env } },
  );
  await look(facts);
  return [...new Set(Object.values(outcomesOf(report)))].join(",");
}

const basic: RegistryOptions = { auth: { kind: "basic", ...USER } };

async function tls(options: { readonly clients?: boolean } = {}): Promise<RegistryOptions> {
  const { server, ca } = await makeCertificates();
  return {
    tls: { cert: server.cert, key: server.key, ...(options.clients === true ? { ca: ca.cert } : {}) },
  };
}

const fileOf = async ({ directory }: Facts, name: string, text: string): Promise<string> => {
  await writeFile(directory.join(name), text);
  return name;
};

/** Someone logged in with docker: what counts when the configuration says nothing. */
async function dockerLogin({ directory, registry }: Facts): Promise<void> {
  const auth = Buffer.from(`${USER.username}:${USER.password}`).toString("base64");
  const auths = { [registry.host]: { auth } };
  await writeFile(directory.join("config.json"), JSON.stringify({ auths }));
}

export const REGISTRY_KEYS: KeyTests = {
  version: async () => {
    await using directory = await temporaryDirectory();
    const mirrors = [{ source: "oci:/nowhere", target: "oci:/other", tags: ["1"] }];
    await expect(syncWith(directory, { version: 2, mirrors })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
    expect(outcomesOf(await syncWith(directory, { mirrors }))).toBeDefined();
  },
  registries: async () => {
    // without an entry, a registry is used with TLS
    await using directory = await temporaryDirectory();
    await using registry = await startRegistry();
    await pushTo(registry, "a/app", image, "1");
    const mirrors = [
      { source: `${registry.host}/a/app`, target: `oci:${directory.join("out")}`, tags: ["1"] },
    ];
    expect(outcomesOf(await syncWith(directory, { mirrors }))).not.toEqual({ "1": "copied" });
    const registries = { [registry.host]: { plainHttp: true } };
    expect(outcomesOf(await syncWith(directory, { registries, mirrors }))).toEqual({ "1": "copied" });
  },
  "registries.*.kind": async () => {
    const pageSize = async (kind: string): Promise<string | null> => {
      let asked: string | null = null;
      const look = ({ registry }: Facts): void => {
        const listing = registry.ledger.entries.find((entry) => entry.kind === "tags");
        asked = new URLSearchParams(listing?.query).get("n");
      };
      await copied({}, () => ({ plainHttp: true, kind }), { look });
      return asked;
    };
    expect(await pageSize("auto")).toBe("1000");
    expect(await pageSize("quay")).toBe("100");
  },
  "registries.*.credentials": async () => {
    expect(await copied(basic, () => ({ plainHttp: true }))).toBe("AUTH_DENIED");
    const credentials = { username: USER.username, password: "${SECRET}" };
    const env = { SECRET: USER.password };
    expect(await copied(basic, () => ({ plainHttp: true, credentials }), { env })).toBe("copied");
  },
  "registries.*.credentials.username": async () => {
    const env = { SECRET: USER.password };
    const as = (username: string): Promise<string> =>
      copied(basic, () => ({ plainHttp: true, credentials: { username, password: "${SECRET}" } }), { env });
    expect(await as("nobody")).toBe("AUTH_DENIED");
    expect(await as(USER.username)).toBe("copied");
  },
  "registries.*.credentials.password": async () => {
    const credentials = { username: USER.username, password: "${SECRET}" };
    const withSecret = (SECRET: string): Promise<string> =>
      copied(basic, () => ({ plainHttp: true, credentials }), { env: { SECRET } });
    expect(await withSecret("wrong")).toBe("AUTH_DENIED");
    expect(await withSecret(USER.password)).toBe("copied");
  },
  "registries.*.credentials.usernameFile": async () => {
    const as = (name: string): Promise<string> =>
      copied(
        basic,
        async (facts) => ({
          plainHttp: true,
          credentials: { usernameFile: await fileOf(facts, "user", `${name}\n`), password: "${SECRET}" },
        }),
        { env: { SECRET: USER.password } },
      );
    expect(await as("nobody")).toBe("AUTH_DENIED");
    expect(await as(USER.username)).toBe("copied");
  },
  "registries.*.credentials.passwordFile": async () => {
    const withSecret = (secret: string): Promise<string> =>
      copied(basic, async (facts) => ({
        plainHttp: true,
        credentials: { username: USER.username, passwordFile: await fileOf(facts, "password", secret) },
      }));
    expect(await withSecret("wrong")).toBe("AUTH_DENIED");
    expect(await withSecret(`${USER.password}\n`)).toBe("copied");
  },
  "registries.*.credentials.tokenFile": async () => {
    let sent: string | undefined;
    const look = ({ registry }: Facts): void => {
      sent = registry.ledger.entries.findLast(
        ({ authorization }) => authorization !== undefined,
      )?.authorization;
    };
    await copied(
      basic,
      async (facts) => ({
        plainHttp: true,
        credentials: { tokenFile: await fileOf(facts, "token", "a-token") },
      }),
      { look },
    );
    expect(sent).toBe("Bearer a-token");
  },
  "registries.*.credentials.anonymous": async () => {
    const loggedIn = (credentials: object): Promise<string> =>
      copied(basic, async (facts) => {
        await dockerLogin(facts);
        return { plainHttp: true, ...credentials };
      });
    expect(await loggedIn({})).toBe("copied");
    expect(await loggedIn({ credentials: { anonymous: true } })).toBe("AUTH_DENIED");
  },
  "registries.*.ca": async () => {
    const { ca } = await makeCertificates();
    expect(await copied(await tls(), () => ({}))).toBe("REGISTRY_TLS");
    expect(await copied(await tls(), () => ({ ca: ca.certFile }))).toBe("copied");
  },
  "registries.*.clientCertificate": clientCertificate,
  "registries.*.clientKey": clientCertificate,
  "registries.*.insecure": async () => {
    expect(await copied(await tls(), () => ({}))).toBe("REGISTRY_TLS");
    expect(await copied(await tls(), () => ({ insecure: true }))).toBe("copied");
  },
  "registries.*.plainHttp": async () => {
    expect(await copied({}, () => ({}))).toBe("REGISTRY_TLS");
    expect(await copied({}, () => ({ plainHttp: true }))).toBe("copied");
  },
  "registries.*.connections": async () => {
    const peak = async (connections: number): Promise<number> => {
      let most = 0;
      await copied(
        {},
        ({ registry }) => {
          registry.on({ kind: "manifest", always: true }, delay(20));
          return { plainHttp: true, connections };
        },
        { tags: 6, look: ({ registry }) => (most = peakRequests(registry.ledger, { kind: "manifest" })) },
      );
      return most;
    };
    expect(await peak(1)).toBe(1);
    expect(await peak(6)).toBeGreaterThan(1);
  },
  "registries.*.requestsPerSecond": async () => {
    const spread = async (more: object): Promise<number> => {
      let spreadMs = 0;
      await copied({}, () => ({ plainHttp: true, ...more }), {
        tags: 3,
        look: ({ registry }) => {
          const times = registry.ledger.entries.map(({ at }) => at);
          spreadMs = Math.max(...times) - Math.min(...times);
        },
      });
      return spreadMs;
    };
    // some twenty requests or more: at 40 a second they take half a second
    expect(await spread({ requestsPerSecond: 40 })).toBeGreaterThan(400);
    expect(await spread({ requestsPerSecond: 10_000 })).toBeLessThan(400);
  },
  "registries.*.timeouts": () => stalledOnce({ firstByte: "200ms" }, ""),
  "registries.*.timeouts.connect": async () => {
    // nobody answers at this address (RFC 5737)
    const startedMs = Date.now();
    const timeouts = { connect: "100ms", retries: "300ms" };
    const outcome = await copied({}, () => ({ plainHttp: true }), {
      source: "192.0.2.1/a/app",
      more: { "192.0.2.1": { plainHttp: true, timeouts } },
    });
    expect(outcome).not.toBe("copied");
    expect(Date.now() - startedMs).toBeLessThan(10_000);
  },
  "registries.*.timeouts.firstByte": () => stalledOnce({ firstByte: "200ms" }, ""),
  "registries.*.timeouts.idle": () => stalledOnce({ idle: "200ms" }, "body"),
  "registries.*.timeouts.retries": async () => {
    const requests = async (retries: string): Promise<number> => {
      let count = 0;
      await copied(
        {},
        ({ registry }) => {
          registry.on({ kind: "manifest", always: true }, status(503));
          return { plainHttp: true, timeouts: { retries } };
        },
        { look: ({ registry }) => (count = registry.ledger.count({ kind: "manifest" })) },
      );
      return count;
    };
    expect(await requests("1m")).toBeGreaterThan(await requests("1ms"));
  },
  "registries.*.largeReads": async () => {
    const connections = async (more: object): Promise<number> => {
      let opened = 0;
      // a mount would spare the bytes
      const options: RegistryOptions = { behaviour: { mount: "never" } };
      await copied(options, () => ({ plainHttp: true, connections: 1, ...more }), {
        layerBytes: 5 * 1024 * 1024,
        look: ({ registry }) => ({ opened } = registry.connections),
      });
      return opened;
    };
    // it uses other sockets than the ordinary client
    expect(await connections({})).toBeGreaterThan(await connections({ largeReads: false }));
  },
  "registries.*.tokenRealms": async () => {
    const bearer: RegistryOptions = {
      auth: { kind: "bearer", ...USER, realm: (usual) => usual.replace("127.0.0.1", "localhost") },
    };
    const env = { SECRET: USER.password };
    const credentials = { username: USER.username, password: "${SECRET}" };
    const into = (more: object): Promise<string> =>
      copied(bearer, () => ({ plainHttp: true, credentials, ...more }), { env });
    expect(await into({})).toBe("AUTH_REALM");
    expect(await into({ tokenRealms: ["localhost"] })).toBe("copied");
  },
};

/** The first answer stops, before its head or within its body. The second one is sent. */
async function stalledOnce(timeouts: object, where: "" | "body"): Promise<void> {
  const outcome = await copied({}, ({ registry }) => {
    if (where === "body") registry.on({ method: "GET", kind: "blob" }, stall({ afterBytes: 10 }));
    else registry.on({ method: "GET", kind: "manifest" }, stall());
    return { plainHttp: true, timeouts };
  });
  expect(outcome).toBe("copied");
}

async function clientCertificate(): Promise<void> {
  const { ca, client } = await makeCertificates();
  const server = await tls({ clients: true });
  expect(await copied(server, () => ({ ca: ca.certFile }))).not.toBe("copied");
  const files = { clientCertificate: client.certFile, clientKey: client.keyFile };
  expect(await readFile(client.keyFile, "utf8")).toContain("PRIVATE KEY");
  expect(await copied(server, () => ({ ca: ca.certFile, ...files }))).toBe("copied");
}
