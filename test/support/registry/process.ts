import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { type RegistryOptions, startRegistry } from "./registry.ts";
import { json } from "./wire.ts";

/** The options that can be given on a command line. */
type ProcessOptions = Pick<RegistryOptions, "port" | "tls" | "auth" | "behaviour">;

export type RegistryProcess = AsyncDisposable & {
  readonly host: string;
  readonly url: string;
  readonly pid: number;
  kill(): Promise<void>;
};

/**
 * The test registry in its own process, for measurements and for tests that kill it. `GET /ledger` returns its
 * requests as JSON, `DELETE /ledger` forgets them.
 */
export async function startRegistryProcess(options: ProcessOptions = {}): Promise<RegistryProcess> {
  const child = spawn(process.execPath, [import.meta.filename, JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const { host, url } = JSON.parse(line) as { host: string; url: string };
    return { host, url, pid: child.pid ?? 0, kill, [Symbol.asyncDispose]: kill };
  }
  throw new Error("the registry's process ended before it listened");
}

/** Runs until standard input ends, which is when its parent ends. */
async function main(options: ProcessOptions): Promise<void> {
  await using registry = await startRegistry({
    ...options,
    other: ({ path, method }) => {
      if (path !== "/ledger") return undefined;
      // the request that asks is not part of it
      const entries = registry.ledger.entries.filter((entry) => entry.path !== "/ledger");
      if (method === "DELETE") registry.ledger.clear();
      return json(200, entries);
    },
  });
  console.log(JSON.stringify({ host: registry.host, url: registry.url }));
  process.stdin.resume();
  await once(process.stdin, "end");
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? "{}") as ProcessOptions);
