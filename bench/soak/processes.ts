import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { TemporaryDirectory } from "../../test/support/temporary.ts";

const SHIFT = new URL("shifted-clock.cjs", import.meta.url).pathname;

/** A process of the product with a wall clock of its own. */
export type SoakProcess = {
  readonly name: string;
  /** Where its page is. */
  readonly url: string;
  /** Sets its clock to the true time plus this. */
  shiftClock(byMs: number): Promise<void>;
  /** SIGSTOP, and its clock goes on, as when a machine is suspended. */
  suspend(): void;
  resume(): void;
  /** SIGKILL. */
  kill(): Promise<void>;
  rssBytes(): Promise<number>;
};

export type StartOptions = {
  readonly bin: string;
  readonly file: string;
  readonly directory: TemporaryDirectory;
  /** Its clock is the true time plus this. */
  readonly shiftMs?: number;
  /** Called when it ends and nobody killed it. */
  readonly onEnded: (text: string) => void;
};

/** Starts a process and waits until it listens. */
export async function startProcess(
  name: string,
  kind: "serve" | "worker",
  { bin, file, directory, shiftMs = 0, onEnded }: StartOptions,
): Promise<SoakProcess> {
  const clock = join(directory.path, `clock-${name}`);
  await writeFile(clock, String(shiftMs));
  const args = [kind, "-c", file, "--listen", "127.0.0.1:0", "--log-level", "error"];
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", bin, ...args, ...(kind === "serve" ? ["--workers", "0"] : [])],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, NODE_OPTIONS: `--require ${SHIFT}`, SHIFTED_CLOCK: clock },
    },
  );
  let isKilled = false;
  const url = await listening(child, (code, said) => {
    if (!isKilled) onEnded(`${name} ended with ${code}:\n${said}`);
  });
  return {
    name,
    url,
    shiftClock: (byMs) => writeFile(clock, String(byMs)),
    suspend: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    async kill() {
      isKilled = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    },
    async rssBytes() {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
    },
  };
}

/** Reads where it listens from its standard error. */
async function listening(
  child: ChildProcess,
  onExit: (code: number | null, said: string) => void,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    said = `${said}${chunk}`.slice(-10_000);
    const url = /tagferry \w+ on (\S+)/.exec(said)?.[1];
    if (url !== undefined) resolve(url);
  });
  child.on("exit", (code) => {
    reject(new Error(`it ended with ${code}:\n${said}`));
    onExit(code, said);
  });
  return promise;
}
