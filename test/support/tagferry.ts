import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** The program: of the checkout, or of the installation that the tests of the built form made. */
export const BIN = process.env["TAGFERRY_BIN"] ?? new URL("../../bin/tagferry", import.meta.url).pathname;

export type Run = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type RunOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
};

/** A clean environment, so that credentials and proxies of this machine do not reach the program under test. */
function environment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", NO_COLOR: "1", ...extra };
}

/** Runs the program as users do, until it ends. An abort of `signal` sends SIGKILL. */
export async function tagferry(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return runProgram(BIN, args, options);
}

/** The same for another installation of the program. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { env, cwd, signal }: RunOptions = {},
): Promise<Run> {
  const child = spawn(program, args, {
    env: environment(env),
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const kill = (): boolean => child.kill("SIGKILL");
  signal?.addEventListener("abort", kill, { once: true });
  if (signal?.aborted) kill();
  const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  const [stdout, stderr, [code, killed]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    closed,
  ]);
  signal?.removeEventListener("abort", kill);
  return { code, signal: killed, stdout, stderr };
}

export type Serving = { readonly child: ChildProcess; readonly url: string; readonly said: () => string };

/** Starts `tagferry serve` (or `worker`) and waits until it says where it listens. It ends with this process. */
export async function startServe(
  args: readonly string[],
  {
    kind = "serve",
    env,
  }: { readonly kind?: "serve" | "worker"; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Serving> {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", BIN, kind, ...args], {
    env: environment(env),
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  const { promise: listening, resolve, reject } = Promise.withResolvers<string>();
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
    const url = /tagferry (?:serve|worker) on (\S+)/.exec(said)?.[1];
    if (url !== undefined) resolve(url);
  });
  child.on("exit", (code) => reject(new Error(`tagferry ${kind} ended with ${code}:\n${said}`)));
  const url = await listening;
  return { child, url, said: () => said };
}

/** Starts `tagferry worker` without an address, and waits until it runs. It ends with this process. */
export async function startWorker(args: readonly string[]): Promise<Omit<Serving, "url">> {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", BIN, "worker", ...args], {
    env: environment(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  const { promise: running, resolve, reject } = Promise.withResolvers<void>();
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
    if (said.includes("tagferry worker is running")) resolve();
  });
  child.on("exit", (code) => reject(new Error(`tagferry worker ended with ${code}:\n${said}`)));
  await running;
  return { child, said: () => said };
}

/** Writes a configuration file into `directory` and tells its path. JSON is YAML. */
export async function writeConfig(
  directory: string,
  config: unknown,
  name = "tagferry.yaml",
): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, typeof config === "string" ? config : JSON.stringify(config, undefined, 2));
  return path;
}
