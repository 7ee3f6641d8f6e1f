import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";

import { makeCertificates } from "../test/support/certificates.ts";
import { freePort } from "../test/support/free-port.ts";

/** A docker-registry that keeps everything in memory, and a line in a log for every request. */
export type BenchRegistry = AsyncDisposable & {
  readonly host: string;
  readonly url: string;
  /** Where it keeps what it holds. */
  readonly storage: string;
  /** Requests since the start, by method. */
  requests(): Promise<ReadonlyMap<string, number>>;
  /** Loses everything it holds. */
  empty(): Promise<void>;
};

/** A directory in memory for everything that this run writes. */
export async function openWorkspace(): Promise<AsyncDisposable & { readonly directory: string }> {
  const directory = await mkdtemp("/dev/shm/tagferry-bench-");
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

/**
 * Starts Debian's docker-registry (distribution 2.8). Its uploads are flushed to their disk, so the storage is a tmpfs;
 * without a descriptor cache, so that emptying it behind its back is harmless.
 */
export async function startBenchRegistry(
  workspace: string,
  name: string,
  { tls = false }: { readonly tls?: boolean } = {},
): Promise<BenchRegistry> {
  const directory = join(workspace, name);
  const storage = join(directory, "storage");
  await mkdir(storage, { recursive: true });
  const port = await freePort();
  const { server } = await makeCertificates();
  const config = {
    version: "0.1",
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: "bench",
      ...(tls ? { tls: { certificate: server.certFile, key: server.keyFile } } : {}),
    },
  };
  const file = join(directory, "config.yml");
  await writeFile(file, JSON.stringify(config)); // JSON is YAML
  const log = join(directory, "access.log");
  const descriptor = openSync(log, "w");
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "docker-registry", "serve", file], {
    stdio: ["ignore", descriptor, "ignore"],
    env: { PATH: process.env["PATH"], OTEL_TRACES_EXPORTER: "none" },
  });
  closeSync(descriptor);
  await untilListening(port);
  const host = `${tls ? "localhost" : "127.0.0.1"}:${port}`;
  return {
    host,
    url: `${tls ? "https" : "http"}://${host}`,
    storage,
    async requests() {
      const lines = (await readFile(log, "utf8")).split("\n");
      const methods = lines.flatMap((line) => /"([A-Z]+) \/v2\//.exec(line)?.[1] ?? []);
      return new Map(
        [...Map.groupBy(methods, (method) => method)].map(([method, all]) => [method, all.length]),
      );
    },
    async empty() {
      await rm(storage, { recursive: true });
      await mkdir(storage);
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

async function untilListening(port: number): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const listening = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    });
    socket.destroy();
    if (listening) return;
    if (performance.now() > deadlineMs) throw new Error("docker-registry does not start");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
