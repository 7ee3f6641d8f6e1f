import type { ChildProcess } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";

import { expect } from "vitest";

import { HOOK_SENDERS, type HookSender } from "../../../src/config/config.ts";
import { makeCertificates } from "../../support/certificates.ts";
import { type DaemonScene, openDaemonScene, until } from "../../support/daemon-scene.ts";
import { freePort } from "../../support/free-port.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { peakRequests } from "../../support/ledger.ts";
import { startRedis } from "../../support/redis.ts";
import { delay, stall } from "../../support/registry/connection-faults.ts";
import { startServe } from "../../support/tagferry.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../support/temporary.ts";
import type { KeyTests } from "../keys.test.ts";

type Health = Awaited<
  ReturnType<Awaited<ReturnType<Awaited<ReturnType<typeof openDaemonScene>>["start"]>>["view"]["health"]>
>;

/** The health record of a daemon with these settings. */
async function health(daemon: object): Promise<Health> {
  await using scene = await openDaemonScene();
  const mirror = { source: `${scene.source.host}/a/app`, target: "imagestream:web/app", tags: ["1"] };
  await scene.configure([mirror], { daemon });
  const { view } = await scene.start();
  return await view.health();
}

async function withRedis(): Promise<void> {
  await using redis = await startRedis();
  expect((await health({})).redis).toBeUndefined();
  expect((await health({ redis: redis.url })).redis?.kind).toBe("up");
  expect((await health({ redis: { url: redis.url } })).redis?.kind).toBe("up");
}

/** How many tags are copied at once. */
async function copiesAtOnce(settings: object): Promise<number> {
  await using scene = await openDaemonScene();
  for (let tag = 0; tag < 6; tag += 1)
    await pushTo(scene.source, "a/app", buildImage({ seed: `${tag}`, layers: [500] }), `${tag}`);
  scene.source.on({ kind: "blob", always: true }, delay(40));
  const mirror = { source: `${scene.source.host}/a/app`, target: "imagestream:web/app", tags: { all: true } };
  await scene.configure([{ ...mirror, referrers: false }], { daemon: settings });
  const { view } = await scene.start();
  await view.sync(`web-app`, "a test");
  await until(async () => (await view.runs()).length === 1);
  return peakRequests(scene.source.ledger, { kind: "blob" });
}

/** How many mirrors are checked at once. */
async function checksAtOnce(settings: object): Promise<number> {
  await using scene = await openDaemonScene();
  const mirrors = ["a", "b", "c", "d"].map((name) => ({
    source: `${scene.source.host}/team/${name}`,
    target: `imagestream:web/${name}`,
    tags: { all: true },
  }));
  scene.source.on({ kind: "tags", always: true }, delay(40));
  await scene.configure(mirrors, { daemon: settings });
  const { view } = await scene.start();
  await Promise.all(
    mirrors.map(({ target }) => view.sync(target.slice("imagestream:".length).replace("/", "-"), "a test")),
  );
  await until(() => scene.source.ledger.count({ kind: "tags" }) === mirrors.length);
  return peakRequests(scene.source.ledger, { kind: "tags" });
}

type Served = { readonly url: string; readonly child: ChildProcess; readonly scene: DaemonScene };

/** `tagferry serve` as a process, with one mirror and these settings. */
async function served(
  settings: (directory: TemporaryDirectory) => Promise<object> | object,
  look: (served: Served) => Promise<unknown>,
): Promise<void> {
  await using directory = await temporaryDirectory();
  await using scene = await openDaemonScene();
  const port = await freePort();
  await pushTo(scene.source, "a/app", buildImage({ seed: "keys", layers: [500] }), "1");
  const mirror = {
    name: "app",
    source: `${scene.source.host}/a/app`,
    target: "imagestream:web/app",
    tags: ["1"],
  };
  const daemon = { listen: `127.0.0.1:${port}`, ...(await settings(directory)) };
  await scene.configure([mirror], { daemon });
  const { child, url } = await startServe(["-c", scene.file, "--log-level", "error"]);
  try {
    await look({ url, child, scene });
  } finally {
    child.kill("SIGKILL");
  }
}

const secretFile = async (directory: TemporaryDirectory, text: string): Promise<string> => {
  await writeFile(directory.join("secret"), text);
  return directory.join("secret");
};

async function withWebhooks(): Promise<void> {
  const push = async ({ url, scene }: Served): Promise<number> => {
    const body = JSON.stringify({ repository: `${scene.source.host}/a/app`, tag: "1" });
    const headers = { authorization: "Bearer knock-knock", "content-type": "application/json" };
    return (await fetch(`${url}/hooks/generic`, { method: "POST", body, headers })).status;
  };
  await served(
    () => ({}),
    async (one) => expect(await push(one)).toBe(404),
  );
  await served(
    async (directory) => ({ webhooks: { secretFile: await secretFile(directory, "knock-knock") } }),
    async (one) => {
      expect(await push(one)).toBe(202);
      await until(() => one.scene.cluster.stream("web", "app") !== undefined);
    },
  );
  await served(
    async (directory) => ({ webhooks: { secretFile: await secretFile(directory, "another") } }),
    async (one) => expect(await push(one)).toBe(401),
  );
}

/** Who paused the mirror, when the request names alice. */
async function pausedBy({ url }: Served, headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
  await fetch(`${url}/api/v1/mirrors/app/pause`, {
    method: "POST",
    headers: { origin: url, "x-forwarded-user": "alice", ...headers },
  });
  const body = (await (await fetch(`${url}/api/v1/mirrors/app`)).json()) as { mirror: { pausedBy?: string } };
  return body.mirror.pausedBy;
}

/** The senders have a secret of their own beside the common one: 400 is a known sender with nothing to say. */
async function withOwnSecrets(senders: readonly HookSender[]): Promise<void> {
  const statusOf = async ({ url }: Served, sender: HookSender, secret: string): Promise<number> => {
    const signature = createHmac("sha256", secret).update("{}").digest("hex");
    const headers = {
      authorization: `Bearer ${secret}`,
      "content-type": "application/json",
      "x-github-event": "ping",
      "x-hub-signature-256": `sha256=${signature}`,
    };
    return (await fetch(`${url}/hooks/${sender}`, { method: "POST", body: "{}", headers })).status;
  };
  await served(
    async (directory) => {
      await writeFile(directory.join("own"), "its-own-secret");
      const secretFiles = Object.fromEntries(senders.map((sender) => [sender, directory.join("own")]));
      return { webhooks: { secretFile: await secretFile(directory, "of-all-others"), secretFiles } };
    },
    async (one) => {
      for (const sender of HOOK_SENDERS) {
        const own = senders.includes(sender);
        expect((await statusOf(one, sender, "its-own-secret")) !== 401, sender).toBe(own);
        expect((await statusOf(one, sender, "of-all-others")) !== 401, sender).toBe(!own);
      }
    },
  );
}

/** How long a daemon that is stopped waits for a copy that makes no progress. */
async function stopsWithinMs(grace: string): Promise<number> {
  let tookMs = 0;
  await served(
    () => ({ grace }),
    async ({ url, child, scene }) => {
      scene.source.on({ kind: "blob", always: true }, stall({ afterBytes: 0 }));
      await fetch(`${url}/api/v1/mirrors/app/sync`, { method: "POST", headers: { origin: url } });
      await until(() => scene.source.ledger.count({ kind: "blob" }) > 0);
      const began = performance.now();
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
      tookMs = performance.now() - began;
    },
  );
  return tookMs;
}

export const DAEMON_KEYS: KeyTests = {
  daemon: withRedis,
  "daemon.redis": withRedis,
  "daemon.redis.url": withRedis,
  "daemon.stateFile": async () => {
    await using directory = await temporaryDirectory();
    const pausedAfterRestart = async (settings: object): Promise<boolean> => {
      await using scene = await openDaemonScene();
      const mirror = { source: `${scene.source.host}/a/app`, target: "imagestream:web/app", tags: ["1"] };
      await scene.configure([mirror], { daemon: settings });
      const first = await scene.start();
      await first.view.pause("web-app", "a test");
      await first.stop({ signal: AbortSignal.timeout(1_000) });
      const { view } = await scene.start();
      return (await view.mirrors())[0]?.state === "paused";
    };
    expect(await pausedAfterRestart({})).toBe(false);
    expect(await pausedAfterRestart({ stateFile: directory.join("state.jsonl") })).toBe(true);
  },
  "daemon.redis.passwordFile": async () => {
    await using directory = await temporaryDirectory();
    await using redis = await startRedis({ config: { requirepass: "open-sesame" } });
    await writeFile(directory.join("password"), "open-sesame\n");
    expect((await health({ redis: redis.url })).redis?.kind).toBe("away");
    const passwordFile = directory.join("password");
    expect((await health({ redis: { url: redis.url, passwordFile } })).redis?.kind).toBe("up");
  },
  "daemon.redis.ca": async () => {
    const { ca, server } = await makeCertificates();
    const port = await freePort();
    await using _ = await startRedis({
      config: {
        "tls-port": String(port),
        "tls-cert-file": server.certFile,
        "tls-key-file": server.keyFile,
        "tls-ca-cert-file": ca.certFile,
        "tls-auth-clients": "no",
      },
    });
    const url = `rediss://localhost:${port}`;
    expect((await health({ redis: url })).redis?.kind).toBe("away");
    expect((await health({ redis: { url, ca: ca.certFile } })).redis?.kind).toBe("up");
  },
  "daemon.workers": async () => {
    expect(await copiesAtOnce({ workers: 1 })).toBeLessThanOrEqual(2);
    expect(await copiesAtOnce({ workers: 6 })).toBeGreaterThan(2);
  },
  "daemon.copies": async () => {
    expect(await copiesAtOnce({ copies: 1 })).toBeLessThanOrEqual(2);
    expect(await copiesAtOnce({ copies: 6 })).toBeGreaterThan(2);
  },
  "daemon.checks": async () => {
    expect(await checksAtOnce({ checks: 1 })).toBe(1);
    expect(await checksAtOnce({})).toBeGreaterThan(1);
  },
  "daemon.jobKeyFile": async () => {
    await using directory = await temporaryDirectory();
    await using redis = await startRedis();
    const checkedBy = async (daemonKey: string, workerKey: string): Promise<boolean> => {
      await using scene = await openDaemonScene();
      await pushTo(scene.source, "a/app", buildImage({ seed: "key", layers: [500] }), "1");
      const mirror = { source: `${scene.source.host}/a/app`, target: "imagestream:web/app", tags: ["1"] };
      const configure = async (key: string): Promise<void> => {
        await writeFile(directory.join(key), key);
        const daemon = { redis: redis.url, jobKeyFile: directory.join(key) };
        await scene.configure([mirror], { daemon });
      };
      await redis.command("FLUSHALL");
      await configure(workerKey);
      await scene.start({ schedules: false });
      await configure(daemonKey);
      const { view } = await scene.start({ workers: 0 });
      await view.sync("web-app", "a test");
      await until(async () => {
        const jobs = (await view.health()).jobs;
        return jobs !== undefined && jobs.waiting + jobs.active + jobs.delayed === 0;
      });
      return (await view.runs()).length > 0;
    };
    expect(await checkedBy("one", "one")).toBe(true);
    expect(await checkedBy("one", "other")).toBe(false);
  },
  "daemon.listen": () =>
    served(
      () => ({}),
      async ({ url }) => {
        expect((await fetch(`${url}/livez`)).status).toBe(200);
        const elsewhere = url.replace(/\d+$/, String(await freePort()));
        await expect(fetch(`${elsewhere}/livez`)).rejects.toThrow("fetch failed");
      },
    ),
  "daemon.tokenFile": async () => {
    const read = async ({ url }: Served, headers = {}): Promise<number> =>
      (await fetch(`${url}/api/v1/mirrors`, { headers })).status;
    await served(
      () => ({}),
      async (one) => expect(await read(one)).toBe(200),
    );
    await served(
      async (directory) => ({ tokenFile: await secretFile(directory, "let-me-in\n") }),
      async (one) => {
        expect(await read(one)).toBe(401);
        expect(await read(one, { authorization: "Bearer let-me-in" })).toBe(200);
      },
    );
  },
  "daemon.healthListen": async () => {
    const port = await freePort();
    const probe = () => fetch(`http://127.0.0.1:${port}/livez`);
    await served(
      () => ({}),
      () => expect(probe()).rejects.toThrow("fetch failed"),
    );
    await served(
      () => ({ healthListen: `127.0.0.1:${port}` }),
      async () => expect((await probe()).status).toBe(200),
    );
  },
  "daemon.readTokenFile": async () => {
    const headers = { authorization: "Bearer only-look" };
    const statuses = async ({ url }: Served): Promise<readonly number[]> => [
      (await fetch(`${url}/api/v1/mirrors`, { headers })).status,
      (await fetch(`${url}/api/v1/mirrors/app/pause`, { method: "POST", headers })).status,
    ];
    const tokens = async (
      directory: TemporaryDirectory,
    ): Promise<{ tokenFile: string; readTokenFile: string }> => {
      const tokenFile = await secretFile(directory, "let-me-in");
      await writeFile(directory.join("read"), "only-look");
      return { tokenFile, readTokenFile: directory.join("read") };
    };
    await served(
      async (directory) => ({ tokenFile: (await tokens(directory)).tokenFile }),
      async (one) => expect(await statuses(one)).toEqual([401, 401]),
    );
    await served(tokens, async (one) => expect(await statuses(one)).toEqual([200, 403]));
  },
  "daemon.trustForwardedUser": async () => {
    await served(
      () => ({}),
      async (one) => expect(await pausedBy(one)).toBe("somebody at 127.0.0.1"),
    );
    await served(
      () => ({ trustForwardedUser: true }),
      async (one) => expect(await pausedBy(one)).toBe("alice (proxy)"),
    );
  },
  "daemon.trustForwardedUser.secretFile": () =>
    served(
      async (directory) => ({ trustForwardedUser: { secretFile: await secretFile(directory, "it-is-me") } }),
      async (one) => {
        expect(await pausedBy(one)).toBe("somebody at 127.0.0.1");
        expect(await pausedBy(one, { "x-tagferry-proxy-secret": "it-is-me" })).toBe("alice (proxy)");
      },
    ),
  "daemon.webhooks": withWebhooks,
  "daemon.webhooks.secretFile": withWebhooks,
  "daemon.webhooks.secretFiles": () => withOwnSecrets(HOOK_SENDERS),
  ...Object.fromEntries(
    HOOK_SENDERS.map((sender) => [`daemon.webhooks.secretFiles.${sender}`, () => withOwnSecrets([sender])]),
  ),
  "daemon.grace": async () => {
    const short = await stopsWithinMs("1s");
    expect(short).toBeLessThan(4_000);
    expect(await stopsWithinMs("4s")).toBeGreaterThan(short + 1_000);
  },
};
