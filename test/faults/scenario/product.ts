import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";

/** The product from outside: a process, its exit code and its output. Its source is not used here. */

const BIN = new URL("../../../bin/tagferry", import.meta.url).pathname;

export type Ended = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** `killed`: by the harness, on purpose. `late`: at the deadline. */
  readonly end: "exit" | "killed" | "late";
};

export type Started = {
  readonly ended: Promise<Ended>;
  readonly running: () => boolean;
  kill(): void;
};

/** `empty`: the proofs of earlier runs are lost. This may only cost requests. */
type CommandOptions = { readonly cache?: "kept" | "empty" };

let emptyCaches = 0;

/** Nothing of the machine's own credentials or proxies reaches the process; it ends when this one does. */
function start(args: readonly string[], { cache = "kept" }: CommandOptions = {}): ChildProcess {
  const home = dirname(args[args.indexOf("-c") + 1] ?? "/nonexistent/file");
  return spawn("setpriv", ["--pdeathsig", "KILL", BIN, ...args], {
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: home,
      NO_COLOR: "1",
      ...(cache === "empty" ? { XDG_CACHE_HOME: join(home, `cache-${(emptyCaches += 1)}`) } : {}),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export function startCommand(
  args: readonly string[],
  deadlineMs: number,
  options: CommandOptions = {},
): Started {
  const child = start(args, options);
  let end: Ended["end"] = "exit";
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  const stop = (why: "killed" | "late"): void => {
    if (!running()) return;
    end = why;
    child.kill("SIGKILL");
  };
  const timer = setTimeout(() => stop("late"), deadlineMs);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("the process has no output");
  const ended = (async (): Promise<Ended> => {
    const [[code], out, err] = await Promise.all([
      once(child, "exit") as Promise<[number | null]>,
      text(stdout),
      text(stderr),
    ]);
    clearTimeout(timer);
    return { code, stdout: out, stderr: err, end };
  })();
  return { ended, running, kill: () => stop("killed") };
}

export type Daemon = {
  readonly url: string;
  readonly log: () => string;
  /** Whether the process has ended by itself. */
  readonly crashed: () => boolean;
  kill(): Promise<void>;
  /** SIGTERM; tells the exit code, or undefined when it did not end in time. */
  stop(withinMs: number): Promise<number | null | undefined>;
};

const MOST_LOG = 2_000_000;

export async function startDaemon(
  config: string,
  withinMs: number,
  kind: "serve" | "worker" = "serve",
): Promise<Daemon> {
  const child = start([
    kind,
    "-c",
    config,
    "--listen",
    "127.0.0.1:0",
    "--log-level",
    "info",
    "--log-format",
    "json",
  ]);
  let log = "";
  let wanted = true;
  const listening = Promise.withResolvers<string>();
  const exit = once(child, "exit") as Promise<[number | null]>;
  child.stdout?.resume();
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    if (log.length < MOST_LOG) log += chunk;
    const url = /tagferry (?:serve|worker) on (http\S+)/.exec(log)?.[1];
    if (url !== undefined) listening.resolve(url.replace(/[",]+$/, ""));
  });
  const timer = setTimeout(() => listening.reject(new Error(`the daemon did not listen:\n${log}`)), withinMs);
  void exit.then(() => listening.reject(new Error(`the daemon ended:\n${log}`)));
  const url = await listening.promise;
  clearTimeout(timer);
  const gone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    url,
    log: () => log,
    crashed: () => wanted && gone(),
    kill: async () => {
      wanted = false;
      if (gone()) return;
      child.kill("SIGKILL");
      await exit;
    },
    stop: async (milliseconds) => {
      wanted = false;
      if (gone()) return child.exitCode;
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), milliseconds);
      const [code] = await exit;
      clearTimeout(late);
      return child.signalCode === "SIGKILL" ? undefined : code;
    },
  };
}

/** A request to a daemon's API. undefined when it fails, because daemons are killed here. */
export async function ask(
  { url }: Daemon,
  path: string,
  {
    method = "GET",
    body,
    secret,
  }: { readonly method?: string; readonly body?: unknown; readonly secret?: string } = {},
): Promise<unknown> {
  try {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        origin: new URL(url).origin,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    return await response.json().catch(() => ({ status: response.status }));
  } catch {
    return undefined;
  }
}
