import { once } from "node:events";
import { connect } from "node:net";

import { describe, expect, test } from "vitest";

import { openWeb } from "../../src/web/server.ts";
import { ask } from "../support/ask.ts";
import { SILENT } from "../support/registry/client.ts";
import { freshMirror, memoryView } from "../support/view.ts";
import { openTestWeb, TOKEN } from "../support/web.ts";

describe("listening", () => {
  test.for(["0.0.0.0", "::", "192.0.2.1"])("refuses %s without a token", async (host) => {
    const opening = openWeb({ view: memoryView(), settings: { host, port: 0 }, log: SILENT });
    await expect(opening).rejects.toMatchObject({ code: "CONFIG_LISTEN" });
  });

  test("refuses an address that is taken, and says which", async () => {
    await using web = await openTestWeb();
    const port = Number(new URL(web.url).port);
    const opening = openWeb({ view: memoryView(), settings: { host: "127.0.0.1", port }, log: SILENT });
    await expect(opening).rejects.toMatchObject({
      code: "CONFIG_LISTEN",
      details: { found: "EADDRINUSE", where: `127.0.0.1:${port}` },
    });
  });

  test("shows probes and metrics of a worker on any address, and nothing else", async () => {
    await using web = await openTestWeb({ settings: { host: "0.0.0.0", port: 0 }, only: "health" });
    const statuses = await Promise.all(
      ["/livez", "/readyz", "/metrics", "/", "/api/v1/health", "/hooks/generic", "/assets/page.js"].map(
        async (path) => (await ask("GET", `${web.url}${path}`)).status,
      ),
    );
    expect(statuses).toEqual([200, 200, 200, 404, 404, 404, 404]);
  });
});

describe("closing", () => {
  test("ends the streams of events, and refuses connections afterwards", async () => {
    const web = await openTestWeb();
    const { body } = await fetch(`${web.url}/api/v1/events`);
    const reading = Array.fromAsync(body ?? []);
    await web.view.watched(1);
    await web.close();
    await reading;
    expect(web.view.watchers()).toBe(0);
    await expect(ask("GET", `${web.url}/livez`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("cuts a request that never ends when its time is over", async () => {
    const web = await openTestWeb();
    const socket = connect(Number(new URL(web.url).port), "127.0.0.1");
    socket.on("error", () => {}).resume(); // it is cut
    await once(socket, "connect");
    socket.write("POST /hooks/generic HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{");
    await ask("GET", `${web.url}/livez`); // by now the server has seen the other one
    await Promise.all([once(socket, "close"), web.close({ signal: AbortSignal.abort() })]);
    expect(socket.destroyed).toBe(true);
  });

  test("is harmless twice", async () => {
    const web = await openTestWeb();
    await web.close();
    await expect(web[Symbol.asyncDispose]()).resolves.toBeUndefined();
  });
});

describe("every answer", () => {
  test.for([
    "/",
    "/mirrors/a",
    "/mirrors/none",
    "/nowhere",
    "/api/v1/mirrors",
    "/livez",
    "/metrics",
    "/assets/page.css",
  ])("of %s lets a browser run nothing strange, and frame nothing", async (path) => {
    await using web = await openTestWeb();
    web.view.set(freshMirror("a"));
    const { headers } = await ask("GET", `${web.url}${path}`, { headers: { accept: "text/html" } });
    expect(headers).toMatchObject({
      "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    });
    expect(headers["cache-control"]).toBe(path.startsWith("/assets") ? "no-cache" : "no-store");
    expect(headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("of a part of the page may be kept for ever under the address the page uses", async () => {
    await using web = await openTestWeb();
    const page = (await ask("GET", `${web.url}/`)).body.toString();
    const addresses = [...page.matchAll(/\/assets\/[^"]+/g)].map(([address]) => address);
    expect(addresses.length).toBeGreaterThanOrEqual(3);
    for (const address of addresses) {
      const { status, headers } = await ask("GET", `${web.url}${address}`);
      expect([status, headers["cache-control"]]).toEqual([200, "public, max-age=31536000, immutable"]);
    }
  });
});

describe("probes", () => {
  test("need no token, and say why it is not ready", async () => {
    await using web = await openTestWeb({ token: async () => TOKEN });
    expect((await ask("GET", `${web.url}/livez`)).status).toBe(200);
    expect((await ask("GET", `${web.url}/readyz`)).status).toBe(200);
    web.view.setHealth({ ready: false, reasons: ["redis: connection refused"] });
    const { status, body } = await ask("GET", `${web.url}/readyz`);
    expect(status).toBe(503);
    expect(JSON.parse(body.toString())).toEqual({ ready: false, reasons: ["redis: connection refused"] });
    expect((await ask("GET", `${web.url}/livez`)).status).toBe(200);
  });

  test("are not ready when the daemon cannot say how it is", async () => {
    await using web = await openTestWeb();
    web.view.health = () => Promise.reject(new Error("broken"));
    expect((await ask("GET", `${web.url}/readyz`)).status).toBe(503);
  });
});
