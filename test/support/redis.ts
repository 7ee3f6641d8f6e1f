import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

import { Redis } from "ioredis";

import { freePort } from "./free-port.ts";
import { temporaryDirectory } from "./temporary.ts";

export type TestRedis = AsyncDisposable & {
  readonly url: string;
  /** Asks it, on a connection of the test's own. */
  command(...words: readonly string[]): Promise<unknown>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** After `kill`, on the same port. */
  start(): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
};

/** Debian's redis-server on a port of its own. `appendOnly`: what it took survives a kill. */
export async function startRedis({
  appendOnly = false,
  config = {},
}: {
  readonly appendOnly?: boolean;
  readonly config?: Readonly<Record<string, string>>;
} = {}): Promise<TestRedis> {
  const directory = await temporaryDirectory();
  const port = await freePort();
  let child: ChildProcess;

  async function start(): Promise<void> {
    const settings = { appendonly: appendOnly ? "yes" : "no", save: "", ...config };
    const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    child = spawn(
      "redis-server",
      ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory.path, ...flags],
      {
        stdio: "ignore",
      },
    );
    await answering(port, config["requirepass"]);
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    async command(...[name = "PING", ...words]) {
      const client = new Redis({ port, host: "127.0.0.1", lazyConnect: true, retryStrategy: () => null });
      client.on("error", () => {}); // told by the command
      try {
        await client.connect();
        return await client.call(name, ...words);
      } finally {
        client.disconnect();
      }
    },
    kill,
    start,
    signal: (name) => void child.kill(name),
    async [Symbol.asyncDispose]() {
      child.kill("SIGCONT");
      await kill();
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function answering(port: number, password: string | undefined): Promise<void> {
  const client = new Redis({
    port,
    host: "127.0.0.1",
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
    ...(password === undefined ? {} : { password }),
  });
  client.on("error", () => {}); // it is still starting
  await client.ping();
  client.disconnect();
}
