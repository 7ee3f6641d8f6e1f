import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { describe, expect, test } from "vitest";

import { ask } from "../support/ask.ts";
import { goodHealth } from "../support/view.ts";
import { openTestWeb, TOKEN } from "../support/web.ts";

/** Connections from one address of this machine that send `text` and then nothing. */
async function openIdle(
  url: string,
  {
    count,
    from = "127.0.0.1",
    text = "",
  }: { readonly count: number; readonly from?: string; readonly text?: string },
): Promise<readonly Socket[]> {
  const port = Number(new URL(url).port);
  const sockets = Array.from(
    { length: count },
    () => connect({ port, host: "127.0.0.1", localAddress: from }).on("error", () => {}), // it is cut
  );
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  for (const socket of sockets) socket.resume().write(text);
  return sockets;
}

const destroyAll = (sockets: readonly Socket[]): void => sockets.forEach((socket) => socket.destroy());
const HEALTH = { healthSettings: { host: "127.0.0.1", port: 0 } };
const FROM = Array.from({ length: 10 }, (_, index) => `127.0.1.${index + 1}`);

describe("1,000 idle connections deny nobody", () => {
  test.for([
    ["one peer that says nothing", ["127.0.0.1"], ""],
    ["one peer that sends half a head", ["127.0.0.1"], "GET / HTTP/1.1\r\nhost: localhost\r\nx: "],
    ["one peer that sends half a body", ["127.0.0.1"], halfABody()],
    ["ten peers that say nothing", FROM, ""],
    ["ten peers that send half a head", FROM, "GET / HTTP/1.1\r\nhost: "],
    ["ten peers that send half a body", FROM, halfABody()],
  ] as const)("of %s", { timeout: 60_000 }, async ([, peers, text]) => {
    await using web = await openTestWeb({ token: async () => TOKEN, ...HEALTH });
    const sockets = await Promise.all(
      peers.map((from) => openIdle(web.url, { count: 1_000 / peers.length, from, text })),
    );
    try {
      for (let count = 0; count < 20; count += 1) {
        const { status } = await ask("GET", `${web.url}/api/v1/mirrors`, {
          headers: { authorization: `Bearer ${TOKEN}` },
        });
        expect(status).toBe(200);
      }
      expect((await ask("GET", `${web.url}/livez`)).status).toBe(200);
      expect((await ask("GET", `${web.healthUrl}/livez`)).status).toBe(200);
      expect((await ask("GET", `${web.healthUrl}/readyz`)).status).toBe(200);
    } finally {
      destroyAll(sockets.flat());
    }
  });

  test("of the port for probes", async () => {
    await using web = await openTestWeb(HEALTH);
    const sockets = await openIdle(web.healthUrl ?? "", { count: 1_000 });
    expect((await ask("GET", `${web.healthUrl}/livez`)).status).toBe(200);
    destroyAll(sockets);
  });
});

/** A login request whose body is never sent. */
function halfABody(): string {
  return "POST /login HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nto";
}

test("streams of events stay open while somebody opens idle connections", async () => {
  await using web = await openTestWeb();
  const { body } = await fetch(`${web.url}/api/v1/events`);
  await web.view.watched(1);
  const sockets = await openIdle(web.url, { count: 1_000 });
  expect((await ask("GET", `${web.url}/livez`)).status).toBe(200);
  expect(web.view.watchers()).toBe(1);
  destroyAll(sockets);
  await body?.cancel();
});

test.for(["", "GET / HTTP/1.1\r\nhost: loc"])(
  "a connection that says %j and nothing more is closed when its time is over",
  // a request has 30 s: without a limit of its own for the headers, the connection would be closed only then
  { timeout: 15_000 },
  async (text) => {
    await using web = await openTestWeb({ headersMs: 50 });
    const [socket] = await openIdle(web.url, { count: 1, text });
    if (socket && !socket.closed) await once(socket, "close");
    expect(socket?.destroyed).toBe(true);
  },
);

describe("the port for probes", () => {
  test("answers probes and nothing else", async () => {
    await using web = await openTestWeb({ token: async () => TOKEN, ...HEALTH });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const statuses = await Promise.all(
      [
        "/livez",
        "/readyz",
        "/",
        "/metrics",
        "/api/v1/health",
        "/login",
        "/hooks/generic",
        "/assets/page.css",
      ].map(async (path) => (await ask("GET", `${web.healthUrl}${path}`, { headers })).status),
    );
    expect(statuses).toEqual([200, 200, 404, 404, 404, 404, 404, 404]);
  });

  test("may be reached from elsewhere without a token, and is closed with the rest", async () => {
    const web = await openTestWeb({ healthSettings: { host: "0.0.0.0", port: 0 } });
    const port = Number(new URL(web.healthUrl ?? "").port);
    expect((await ask("GET", `http://127.0.0.1:${port}/livez`)).status).toBe(200);
    await web.close();
    await expect(ask("GET", `http://127.0.0.1:${port}/livez`)).rejects.toMatchObject({
      code: "ECONNREFUSED",
    });
  });

  test("that is taken is refused, and the port of the page is free again", async () => {
    await using first = await openTestWeb(HEALTH);
    const { port } = new URL(first.healthUrl ?? "");
    const opening = openTestWeb({ healthSettings: { host: "127.0.0.1", port: Number(port) } });
    await expect(opening).rejects.toMatchObject({ code: "CONFIG_LISTEN", details: { found: "EADDRINUSE" } });
  });
});

describe("many questions at once", () => {
  test("whether it is ready are one question to the daemon", async () => {
    await using web = await openTestWeb(HEALTH);
    const { promise: blocked, resolve: go } = Promise.withResolvers<void>();
    let asked = 0;
    web.view.health = async () => {
      asked += 1;
      await blocked;
      return goodHealth();
    };
    const probes = Array.from({ length: 20 }, () => ask("GET", `${web.healthUrl}/readyz`));
    await ask("GET", `${web.healthUrl}/livez`); // by now they have come
    go();
    await Promise.all(probes);
    expect(asked).toBeLessThan(20);
  });

  test("for metrics are one scrape", async () => {
    await using web = await openTestWeb();
    const { promise: blocked, resolve: go } = Promise.withResolvers<void>();
    let asked = 0;
    web.view.mirrors = async () => {
      asked += 1;
      await blocked;
      return [];
    };
    const scrapes = Array.from({ length: 20 }, () => ask("GET", `${web.url}/metrics`));
    await ask("GET", `${web.url}/livez`); // by now they have come
    go();
    await Promise.all(scrapes);
    expect(asked).toBeLessThan(20);
  });
});

test("a daemon that does not tell its state is not ready", { timeout: 20_000 }, async () => {
  await using web = await openTestWeb(HEALTH);
  web.view.health = () => new Promise(() => {});
  expect((await ask("GET", `${web.healthUrl}/readyz`)).status).toBe(503);
  expect((await ask("GET", `${web.healthUrl}/livez`)).status).toBe(200);
});
