import { connect } from "node:net";

import { expect, test } from "vitest";

import { ask } from "../../support/ask.ts";
import { failure, freshMirror } from "../../support/view.ts";
import { openTestWeb, type TestWeb } from "../../support/web.ts";

type Stream = AsyncDisposable & {
  readonly headers: Headers;
  /** The text up to and including the first match. */
  until(pattern: RegExp): Promise<string>;
};

async function listen(web: TestWeb): Promise<Stream> {
  const gone = new AbortController();
  const response = await fetch(`${web.url}/api/v1/events`, { signal: gone.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    headers: response.headers,
    async until(pattern) {
      while (!pattern.test(text)) {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) throw new Error(`the stream ended: ${text}`);
        text += value;
      }
      const said = text;
      text = "";
      return said;
    },
    [Symbol.asyncDispose]: async () => gone.abort(),
  };
}

test("tells what happens, as it happens, to everybody who looks on", async () => {
  await using web = await openTestWeb();
  await using one = await listen(web);
  await using other = await listen(web);
  expect(one.headers.get("content-type")).toBe("text/event-stream");
  await web.view.watched(2);
  web.view.emit({ kind: "mirror", mirror: "a" });
  web.view.emit({ kind: "config", ok: false });
  for (const stream of [one, other]) {
    const said = await stream.until(/config.*\n.*\n\n/);
    expect(said).toContain('event: mirror\ndata: {"kind":"mirror","mirror":"a"}\n\n');
    expect(said).toContain('event: config\ndata: {"kind":"config","ok":false}\n\n');
  }
});

test("says something at once, and while nothing happens too, so that nobody in between hangs up", async () => {
  await using web = await openTestWeb({ heartbeatMs: 20 });
  await using stream = await listen(web);
  expect(await stream.until(/\n\n/)).toContain("retry: 1000");
  expect(await stream.until(/: still here\n\n: still here\n\n/)).not.toContain("event:");
});

test("cannot be made to say more than it does by what it tells of", async () => {
  await using web = await openTestWeb();
  await using stream = await listen(web);
  await web.view.watched(1);
  const message = "bad\n\nevent: config\ndata: {}\r\n\r\u2028 at https://robot:hunter2@quay.io/";
  const outcome = { kind: "failed", mirror: "a", tag: "1", failure: failure({ message }) } as const;
  web.view.emit({ kind: "outcome", mirror: "a", outcome });
  const said = await stream.until(/event: outcome\n[^\n]*\n\n/);
  expect(said).not.toMatch(/^event: config/m);
  expect(said).not.toContain("hunter2");
  const data = /^data: ([^\n]*)$/m.exec(said)?.[1] ?? "";
  expect(JSON.parse(data)).toMatchObject({ outcome: { failure: { code: "RATE_LIMITED" } } });
});

test("ends for who goes away, and lets no more than a hundred look on", async () => {
  await using web = await openTestWeb();
  web.view.set(freshMirror("a"));
  const streams = await Promise.all(Array.from({ length: 100 }, () => listen(web)));
  await web.view.watched(100);
  const { status, body } = await ask("GET", `${web.url}/api/v1/events`);
  expect([status, JSON.parse(body.toString())]).toMatchObject([429, { code: "WEB_BUSY" }]);
  for (const stream of streams) await stream[Symbol.asyncDispose]();
  await web.view.watched(0);
  await using again = await listen(web);
  await web.view.watched(1);
  web.view.emit({ kind: "mirror", mirror: "a" });
  expect(await again.until(/event: mirror/)).toContain("mirror");
});

test("hangs up on who does not read, instead of keeping all that happens for him", async () => {
  await using web = await openTestWeb({ heartbeatMs: 20 });
  const socket = connect(Number(new URL(web.url).port), "127.0.0.1");
  socket.on("error", () => {}); // it is cut
  socket.write("GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await web.view.watched(1);
  const large = failure({ message: "x".repeat(1_000_000) });
  for (let count = 0; count < 30; count += 1)
    web.view.emit({
      kind: "outcome",
      mirror: "a",
      outcome: { kind: "failed", mirror: "a", tag: "1", failure: large },
    });
  await web.view.watched(0);
  expect(web.view.watchers()).toBe(0);
  socket.destroy();
});
