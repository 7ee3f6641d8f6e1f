import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { kill } from "node:process";
import { setTimeout as delay } from "node:timers/promises";

import { type Cancellable, within } from "./cancel.ts";

export type ProgramOptions = Cancellable & {
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Sent to its standard input. */
  readonly input?: string;
  readonly timeoutMs: number;
  /** A program that prints more is killed. */
  readonly outputMaxBytes: number;
};

/** How a program ended. `stdout` is complete only for `exited`. */
export type ProgramEnd =
  | {
      readonly kind: "exited";
      /** undefined: a signal ended it. */
      readonly code: number | undefined;
      readonly stdout: string;
      readonly stderr: string;
    }
  | { readonly kind: "notStarted"; readonly error: Error }
  | { readonly kind: "tooLate" | "tooMuch"; readonly stderr: string };

/** Of what a program says of its failure, the beginning is enough. */
const STDERR_MAX_BYTES = 16 * 1024;
/** After its end, a program's output may still be on its way. A child that it left behind can keep the pipes open. */
const LAST_OUTPUT_MS = 500;

/**
 * Runs a program and waits for its end. After the time limit, or after too much output, the program and all processes of
 * its group are killed. An abort kills them too, and throws its reason.
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  { env, input = "", timeoutMs, outputMaxBytes, signal }: ProgramOptions,
): Promise<ProgramEnd> {
  signal?.throwIfAborted();
  const child = start(command, args, env);
  if (child instanceof Error) return { kind: "notStarted", error: child };
  const tooMuch = new AbortController();
  const stdout = collect(child.stdout, outputMaxBytes, () => tooMuch.abort());
  const stderr = collect(child.stderr, STDERR_MAX_BYTES);
  child.stdin.on("error", () => {}); // the program may end without reading it
  child.stdin.end(input);
  const closed = once(child, "close").catch(() => {});
  const deadline = within(timeoutMs, { signal });
  try {
    const [code] = await once(child, "exit", { signal: AbortSignal.any([deadline, tooMuch.signal]) });
    await Promise.race([closed, delay(LAST_OUTPUT_MS, undefined, { ref: false })]);
    if (tooMuch.signal.aborted) return { kind: "tooMuch", stderr: stderr() };
    return {
      kind: "exited",
      code: typeof code === "number" ? code : undefined,
      stdout: stdout(),
      stderr: stderr(),
    };
  } catch (error) {
    killGroup(child.pid);
    signal?.throwIfAborted();
    if (tooMuch.signal.aborted) return { kind: "tooMuch", stderr: stderr() };
    if (deadline.aborted) return { kind: "tooLate", stderr: stderr() };
    return { kind: "notStarted", error: error instanceof Error ? error : new Error(String(error)) };
  } finally {
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    child.unref();
  }
}

/** Some failures are thrown at once (a NUL byte in an argument), others come as an event (a missing program). */
function start(
  command: string,
  args: readonly string[],
  env: ProgramOptions["env"],
): ChildProcessWithoutNullStreams | Error {
  try {
    return spawn(command, args, { env: { ...env }, detached: true, stdio: "pipe" });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Keeps the first `maxBytes` of a stream, and reads the rest without keeping it. */
function collect(
  stream: NodeJS.ReadableStream,
  maxBytes: number,
  onTooMuch: () => void = () => {},
): () => string {
  const chunks: Buffer[] = [];
  let total = 0;
  stream.on("error", () => {});
  stream.on("data", (chunk: Buffer) => {
    if (total < maxBytes) chunks.push(chunk.subarray(0, maxBytes - total));
    total += chunk.length;
    if (total > maxBytes) onTooMuch();
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

/** `detached` made the program the leader of a group, which has its id. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) kill(-pid, "SIGKILL");
  } catch {
    // all its processes have ended
  }
}
