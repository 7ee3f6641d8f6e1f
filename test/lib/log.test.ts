import { Writable } from "node:stream";

import { beforeEach, describe, expect, test, vi } from "vitest";

import { TagferryError } from "../../src/errors/error.ts";
import { type Log, type LogOptions, openLog } from "../../src/lib/log.ts";

// styleText asks for it before it asks the stream
beforeEach(() => void vi.stubEnv("FORCE_COLOR", undefined));

/** What a log writes: each chunk. */
function logged(
  say: (log: Log) => void,
  { terminal, ...options }: Partial<LogOptions> & { terminal?: { getColorDepth(): number } } = {},
): string[] {
  const chunks: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk.toString());
      done();
    },
  });
  if (terminal) Object.assign(destination, { isTTY: true, ...terminal });
  say(openLog({ level: "debug", format: "json", destination, ...options }));
  return chunks;
}

function record(say: (log: Log) => void, options: Partial<LogOptions> = {}): Record<string, unknown> {
  return JSON.parse(logged(say, options)[0] ?? "null") as Record<string, unknown>;
}

const sayThree = (log: Log): void => {
  log.debug("a");
  log.info("b");
  log.error("c");
};

describe("a JSON log", () => {
  test("writes one line a record, with level, time and facts", () => {
    const lines = logged((log) => {
      log.info({ mirror: "nginx" }, "checked\nall of it");
      log.child({ tag: "1" }).warn("late");
    });
    expect(lines).toHaveLength(2);
    expect(lines.every((line) => line.indexOf("\n") === line.length - 1)).toBe(true);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        mirror: "nginx",
        msg: "checked\nall of it",
      },
      { level: "warn", time: expect.any(String), tag: "1", msg: "late" },
    ]);
  });

  test("says nothing below its level, and nothing at all when silent", () => {
    expect(logged(sayThree, { level: "warn" })).toHaveLength(1);
    expect(logged(sayThree, { level: "silent" })).toEqual([]);
  });

  test("tells a failure with code, facts and causes, without stack", () => {
    const err = new TagferryError("BLOB_UNKNOWN", "no blob", {
      where: "a/b",
      cause: new Error("socket closed", { cause: "reset" }),
    });
    expect(record((log) => log.error({ err }, "failed"))["err"]).toEqual({
      name: "TagferryError",
      message: "no blob",
      code: "BLOB_UNKNOWN",
      where: "a/b",
      cause: { name: "Error", message: "socket closed", cause: "reset" },
    });
  });

  test("comes to an end with an error that is its own cause", () => {
    const err = new Error("round");
    err.cause = err;
    expect(record((log) => log.error({ err }))).toMatchObject({ err: { cause: { message: "round" } } });
  });
});

test.for(["json", "pretty"] as const)(
  "as %s no control character of others reaches the terminal",
  (format) => {
    const [line = ""] = logged(
      (log) =>
        log.warn({ "na\u001bme": "a\u009b31m\u202eb", err: new Error("\u001b]0;title\u0007") }, "\u001b[2J"),
      { format },
    );
    // oxlint-disable-next-line no-control-regex -- these are what must not reach a terminal
    expect(line.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(line).toMatch(/a\\u009b31m\\u202eb/);
  },
);

describe.for(["json", "pretty"] as const)("as %s a log never holds", (format) => {
  test.for<[string, (log: Log) => void]>([
    ["a header", (log) => log.info({ headers: { Authorization: "CANARY" } })],
    ["a header of several values", (log) => log.info({ headers: { "set-cookie": ["CANARY", "b"] } })],
    ["a password however deep", (log) => log.info({ a: { b: [{ c: { password: "CANARY" } }] } })],
    ["a token by any name", (log) => log.info({ access_token: "CANARY", identityToken: "CANARY" })],
    ["a bearer token in a message", (log) => log.info("sent Bearer CANARYCANARY to it")],
    ["basic credentials in a fact", (log) => log.info({ sent: "basic CANARYCANARY==" })],
    ["a user in a URL", (log) => log.info("GET https://me:CANARY@host/v2/")],
    ["a password with an at sign", (log) => log.info("GET https://me:p@CANARY@host/v2/")],
    ["the password of Redis", (log) => log.info({ redis: "redis://:CANARY@redis:6379/0" })],
    ["a signed address of S3", (log) => log.info("https://s3/x?a=1&X-Amz-Signature=CANARY&b=2")],
    ["a signed address of Azure", (log) => log.info("https://blob/x?sv=1&sig=CANARY%3D")],
    ["a signed address of Google", (log) => log.info("https://gcs/x?X-Goog-Credential=CANARY")],
    [
      "a registry's JSON in an error",
      (log) => log.info({ err: new Error('got {"token": "CANARY\\"CANARY"}') }),
    ],
    [
      "facts and causes of a failure",
      (log) =>
        log.info({
          err: new TagferryError("AUTH_TOKEN", "x", {
            headers: { authorization: "CANARY" },
            cause: new Error("https://u:CANARY@h/"),
          }),
        }),
    ],
  ])("%s", ([, say]) => {
    const [line = ""] = logged(say, { format });
    expect(line).not.toContain("CANARY");
    expect(line).toContain("***");
  });

  test("a secret it was told of, even later", () => {
    const secrets: string[] = [];
    const say = (log: Log): void => {
      secrets.push("hunter22", "a");
      log.info({ note: "it is hunter22" }, "a hunter22b");
    };
    const [line = ""] = logged(say, { format, secrets: () => secrets });
    expect(line).not.toContain("hunter22");
    expect(line).toContain("a ***b");
  });
});

test("what only sounds like a secret is told", () => {
  expect(
    record((log) =>
      log.info(
        { tokens: 3, tokenRealms: ["auth.example"], where: "h/r:1@sha256:ab" },
        "GET https://h/v2/?n=1",
      ),
    ),
  ).toMatchObject({
    tokens: 3,
    tokenRealms: ["auth.example"],
    where: "h/r:1@sha256:ab",
    msg: "GET https://h/v2/?n=1",
  });
});

const pretty = (say: (log: Log) => void, terminal?: { getColorDepth(): number }): string =>
  logged(say, { format: "pretty", ...(terminal ? { terminal } : {}) }).join("");

describe("a pretty log", () => {
  test("is one line of time, level, message and facts", () => {
    expect(pretty((log) => log.warn({ tag: "1", tries: 2, at: { x: 1 } }, "late"))).toMatch(
      /^\d\d:\d\d:\d\d {2}WARN {3}late {2}tag=1 {2}tries=2 {2}at=\{"x":1\}\n$/,
    );
  });

  test("lets nobody write a line of their own", () => {
    const text = pretty((log) =>
      log.info({ reason: "no\n12:00:00  ERROR  forged" }, "a\n12:00:00  ERROR  forged"),
    );
    expect(text.split("\n")).toHaveLength(2);
  });

  test("survives facts that are named like its own", () => {
    expect(pretty((log) => log.info({ time: 5, level: { a: 1 }, msg: 7 }, "said"))).toContain("said");
  });

  test("has colours only where the terminal shows them", () => {
    expect(pretty(sayThree)).not.toContain("\u001b");
    expect(pretty(sayThree, { getColorDepth: () => 1 })).not.toContain("\u001b"); // as with NO_COLOR
    expect(pretty(sayThree, { getColorDepth: () => 8 })).toContain("\u001b[31mERROR");
  });
});
